using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>HiRA: the base weight times a low-rank matrix, element by element. It has no scale.</summary>
internal sealed class HiraMethod : AdapterMethod
{
    public override string Name => "hira";
    public override string Formula => "W∘(1 + B·A)";
    public override string Source => "Huang et al., 2025, ICLR";
    public override string Use =>
        "A change of high rank with LoRA’s parameters. The weight is recomputed each step, and its "
        + "gradient costs as much as in full fine-tuning.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [PeftField.Rank(32), PeftField.Dropout("hira_dropout"), .. PeftField.Ignored("rank_pattern")];

    /// <summary>
    /// Corrects the rank: PEFT gives all layers the rank of the config, whatever its rank_pattern says.
    /// </summary>
    internal override AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        shape("hira_A") is [>= 1 and <= 1 << 16 and var rank, _] ? options with { Rank = (int)rank } : options;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        Expression product = layer
            .Trained("hira_B", (layer.Out, rank))
            .MatMul(layer.Trained("hira_A", (rank, layer.In), Start.KaimingUniform));
        return new AdapterForm { Weight = layer.Weight.Add(product.Multiply(layer.Weight, Broadcast.PerElement)) };
    }
}
