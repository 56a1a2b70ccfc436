using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>LoRA-FA: LoRA with A frozen at its random start. Backward needs only x Aᵀ [tokens, r], not x.</summary>
internal sealed class LoraFaMethod : AdapterMethod
{
    public override string Name => "lora-fa";
    public override string Formula => "W + (alpha/rank)·B·A, A frozen at Kaiming-uniform values";
    public override string Source => "Zhang et al., 2023, arXiv 2308.03303";
    public override string Use =>
        "Half of LoRA's trainable parameters, and no layer input is kept for backward: for long "
        + "sequences and large batches.";
    public override string PeftType => AdapterConfig.Lora;

    public override AdapterForm Form(AdapterBuilder layer) =>
        new()
        {
            Terms =
            [
                new(
                    LoraMethod.Left(layer, layer.Rank),
                    layer.Frozen(LoraNames.A, (layer.Rank, layer.In), Start.KaimingUniform),
                    layer.Options.Scale
                ),
            ],
        };
}
