using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>Block-LoRA: A consists of one block that is repeated along the inputs.</summary>
internal sealed class BlockLoraMethod : AdapterMethod
{
    private const string Blocks = "blocks";

    public override string Name => "block-lora";
    public override string Formula => "W + (alpha/rank)·B·[A … A], A [r, in/n]";
    public override string Source => "Zhou et al., 2025, arXiv 2501.16720";
    public override string Use => "LoRA with n times fewer numbers in A, at LoRA's cost.";
    public override bool IsPublishedForm => false;
    public override IReadOnlyList<AdapterSetting> Settings =>
        [AdapterSetting.Whole(Blocks, 2, 1, 1024, "Number n of repetitions, a divisor of a layer's inputs.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, int n) = (layer.Rank, (int)layer.Setting(Blocks));
        if (layer.In % n != 0)
            throw new InputException($"{Blocks} {n} for {layer.Module.Name} of {layer.In} inputs: expected a divisor");
        Factor block = layer.Trained("block_A", (rank, layer.In / n), Start.KaimingUniform);
        return new AdapterForm
        {
            Terms = [new(layer.Trained("block_B", (layer.Out, rank)), block.Tile(1, n), layer.Options.Scale)],
        };
    }
}
