using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LinChain. Each C_i is stored as its difference from the identity, so that weight decay pulls towards the identity.
/// </summary>
internal sealed class LinChainMethod : AdapterMethod
{
    public override string Name => "linchain";
    public override string Formula => "W + s·B·C_n···C_1·A, C_i [r, r] trained from the identity";
    public override string Source => "LinChain, 2024";
    public override string Use => "More ways for the optimizer to reach the same change; merged as cheaply as LoRA.";
    public override bool IsPublishedForm => false;
    public override IReadOnlyList<AdapterSetting> Settings =>
        [AdapterSetting.Whole("depth", 2, 1, 16, "Number n of matrices in the chain.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        Expression left = layer.Trained(LoraNames.B, (layer.Out, rank));
        for (int i = (int)layer.Setting("depth"); i >= 1; i--)
            left = left.MatMul(layer.Trained($"lora_chain_{i}", (rank, rank)).AddIdentity());
        return new AdapterForm
        {
            Terms =
            [
                new(left, layer.Trained(LoraNames.A, (rank, layer.In), Start.KaimingUniform), layer.Options.Scale),
            ],
        };
    }
}
