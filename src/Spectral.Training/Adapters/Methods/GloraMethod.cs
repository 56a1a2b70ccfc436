using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// GLoRA: five supports around a layer, each of which is a low-rank product, a vector, a number or absent. Those of the
/// bias exist where the layer has one, as in PEFT.
/// </summary>
internal sealed class GloraMethod : AdapterMethod
{
    private const string Weights = "config-a-b";
    private const string Inputs = "config-c";
    private const string Biases = "config-d-e";

    private const string Lora = "lora";
    private const string Vector = "vector";
    private const string Constant = "constant";
    private const string None = "none";

    public override string Name => "glora";
    public override string Formula =>
        "(W + W∘A + B)·x + b + b∘D + E + W·C, A to E low-rank, a vector, a number or absent";
    public override string Source => "Chavan et al., 2023, arXiv 2306.07967";
    public override string Use =>
        "Scales and shifts weight, bias and input at once. The weight is recomputed each step, and its gradient costs "
        + "as much as in full fine-tuning. The supports have no scale: --alpha is not used.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } = [PeftField.Rank(8), PeftField.Bias("glora_only")];

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Choice(Weights, "What A and B are, of the weight.", Lora, Vector, Constant, None) with
        {
            PeftKey = "config_A_B",
        },
        AdapterSetting.Choice(Inputs, "What C is, by which W adds to the bias.", Lora, Vector, None) with
        {
            PeftKey = "config_C",
        },
        AdapterSetting.Choice(Biases, "What D and E are, of the bias.", Constant, Vector, None) with
        {
            PeftKey = "config_D_E",
        },
    ];

    /// <summary>PEFT stores zeros for a support that is absent.</summary>
    public override IReadOnlyDictionary<string, string?> FormerLeaves { get; } =
        "ABCDE".ToDictionary(support => $"glora_{support}.zeros", string? (_) => null);

    /// <exception cref="InputException">All supports of the layer are absent.</exception>
    public override AdapterForm Form(AdapterBuilder layer)
    {
        Expression? weight = layer.Choice(Weights) switch
        {
            Lora => Changed(
                layer,
                layer.Weight.Multiply(Product(layer, "A", layer.Out, layer.In), Broadcast.PerElement),
                Product(layer, "B", layer.Out, layer.In)
            ),
            Vector => Changed(
                layer,
                layer.Weight.ScaleRows(Trained(layer, "A", (layer.Out, 1))),
                Across(layer, Trained(layer, "B", (layer.Out, 1)))
            ),
            Constant => Changed(
                layer,
                layer.Weight.Multiply(Trained(layer, "A", 1), Broadcast.Single),
                Across(layer, Everywhere(layer, Trained(layer, "B", 1)))
            ),
            _ => null,
        };
        Expression? bias = Bias(layer);
        return layer.Factors.Count > 0
            ? new AdapterForm { Weight = weight, Bias = bias }
            : throw new InputException(
                $"{Weights}, {Inputs} and {Biases} for {layer.Module.Name}: all supports of the layer are none, "
                    + "expected at least one; those of the bias need a layer with a bias"
            );
    }

    private static Expression Changed(AdapterBuilder layer, Expression scaled, Expression added) =>
        layer.Weight.Add(scaled).Add(added);

    private static Expression? Bias(AdapterBuilder layer)
    {
        if (layer.Bias is not { } bias)
            return null;
        Expression? read = layer.Choice(Inputs) switch
        {
            Lora => Product(layer, "C", layer.In, 1),
            Vector => Trained(layer, "C", (layer.In, 1)),
            _ => null,
        };
        Expression? changed = layer.Choice(Biases) switch
        {
            Constant => bias.Multiply(Trained(layer, "D", 1), Broadcast.Single)
                .Add(Everywhere(layer, Trained(layer, "E", 1)).Reshape(layer.Out)),
            Vector => bias.Multiply(Trained(layer, "D", layer.Out), Broadcast.PerElement)
                .Add(Trained(layer, "E", layer.Out)),
            _ => null,
        };
        if (read is null && changed is null)
            return null;
        Expression sum = changed is null ? bias : bias.Add(changed);
        return read is null ? sum : sum.Add(layer.Weight.MatMul(read).Reshape(layer.Out));
    }

    private static Expression Product(AdapterBuilder layer, string support, int rows, int columns) =>
        layer
            .Trained($"glora_{support}.Xd", (rows, layer.Rank))
            .MatMul(layer.Trained($"glora_{support}.Xu", (layer.Rank, columns), Start.KaimingUniform));

    private static Factor Trained(AdapterBuilder layer, string support, Shape shape) =>
        layer.Trained($"glora_{support}.X", shape);

    /// <summary>Returns one number as a column [out, 1].</summary>
    private static Expression Everywhere(AdapterBuilder layer, Factor number) =>
        Ones(layer, layer.Out).Multiply(number, Broadcast.Single);

    /// <summary>Returns a column [out, 1] as each column of a matrix [out, in].</summary>
    private static Expression Across(AdapterBuilder layer, Expression column) =>
        column.MatMul(Ones(layer, layer.In), transposeB: true);

    private static Expression Ones(AdapterBuilder layer, int count) =>
        layer.Factors[0].Table((count, 1), (nameof(GloraMethod), count), () => [.. Enumerable.Repeat(1f, count)]);
}
