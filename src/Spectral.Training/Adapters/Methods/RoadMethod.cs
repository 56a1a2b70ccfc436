using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// RoAD: rotates and scales pairs of outputs, together with the bias. A pair is an output and the one half a group
/// further.
/// </summary>
internal sealed class RoadMethod : AdapterMethod
{
    private const string Variant = "variant";
    private const string GroupSize = "group-size";

    public override string Name => "road";
    public override string Formula =>
        "R·W, R·b: outputs p and q of a pair become c_p·y_p − s_p·y_q and c_q·y_q + s_q·y_p, c = "
        + "alpha·cos(theta), s = alpha·sin(theta)";
    public override string Source => "Liao and Monz, 2024, arXiv 2409.00119";
    public override IReadOnlyList<PeftField>? PeftFields { get; } = [PeftField.Start("init_weights")];
    public override string Use =>
        "out numbers a layer, or two or four times as many with road_2 and road_4. The weight is "
        + "recomputed each step, and its gradient costs as much as in full fine-tuning.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Choice(
                Variant,
                "One angle and one scale per pair, per output, or per output and direction.",
                "road_1",
                "road_2",
                "road_4"
            ) with
            {
                PeftKey = "variant",
            },
            AdapterSetting.Whole(
                GroupSize,
                64,
                2,
                65536,
                "Number of outputs in a group: the largest even number up to this that divides all layers' outputs."
            ) with
            {
                PeftKey = "group_size",
            },
        ];

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        all.Any(other => other.Out % 2 != 0) ? options : options.With(GroupSize, 2 * Common(options, all));

    private int Common(AdapterOptions options, IReadOnlyList<ModuleShape> all) =>
        Divisors.Common((int)options.Setting(this, GroupSize) / 2, all.Select(other => other.Out / 2));

    public override AdapterForm Form(AdapterBuilder layer)
    {
        if (layer.Out % 2 != 0)
        {
            throw new InputException(
                $"{layer.Module.Name} has {layer.Out} outputs: road turns pairs of them, expected an even number"
            );
        }

        int size = 2 * Divisors.Common((int)layer.Setting(GroupSize) / 2, layer.Out / 2);
        (int groups, string variant) = (layer.Out / size, layer.Choice(Variant));
        int width = variant switch
        {
            "road_1" => size / 2,
            "road_2" => size,
            _ => 2 * size,
        };
        Expression theta = layer.Trained("road_theta", groups * width).Reshape((groups, width));
        Expression alpha = layer.Trained("road_alpha", groups * width, Start.Ones).Reshape((groups, width));
        Expression along = PerOutput(alpha, 0).Multiply(PerOutput(theta, 0).Cos(), Kernels.Ops.Broadcast.PerElement);
        Expression across = PerOutput(alpha, 1).Multiply(PerOutput(theta, 1).Sin(), Kernels.Ops.Broadcast.PerElement);
        return new AdapterForm
        {
            Weight = layer.Weight.ScaleRows(along).Add(Partners(layer.Weight, layer.In).ScaleRows(across)),
            Bias = layer.Bias is { } bias
                ? bias.Multiply(along, Kernels.Ops.Broadcast.PerElement)
                    .Add(Partners(bias, 1).Multiply(across, Kernels.Ops.Broadcast.PerElement))
                : null,
        };

        Expression PerOutput(Expression values, int direction) =>
            (
                variant switch
                {
                    "road_1" => ExpressionOperations.ConcatColumns(values, values),
                    "road_2" => values,
                    _ => values.Block(0, direction * size, groups, size),
                }
            ).Reshape(layer.Out);

        // In each group, the first half's rows are replaced by the negated second half, and the second half's rows by
        // the first half.
        Expression Partners(Expression rows, int columns)
        {
            (Expression halves, int half) = (rows.Reshape((groups, size * columns)), size / 2 * columns);
            return ExpressionOperations
                .ConcatColumns(halves.Block(0, half, groups, half).Scale(-1), halves.Block(0, 0, groups, half))
                .Reshape(rows.Shape);
        }
    }
}
