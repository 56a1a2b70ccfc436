using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Polyhistor: one small network makes templates of both factors from the vector of the task, for all layers. A layer
/// scales copies of them by its own kernel, a number for each.
/// </summary>
internal sealed class PolyhistorMethod : AdapterMethod
{
    private const string Width = "template-width";
    private const string TaskSize = "task-size";

    public override string Name => "polyhistor";
    public override string Formula =>
        "W + (alpha/rank)·(k_B ⊗ T_B)·(k_A ⊗ T_A), templates T = H·t from the vector t of the task, shared by all "
        + "layers";
    public override string Source => "Liu et al., 2022, arXiv 2210.03265";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "(in + out)/width numbers a layer and one pair of templates for the model. Costs what LoRA does. Here there is "
        + "one task, whose vector trains.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(
            Width,
            64,
            1,
            1 << 16,
            "Width of a template: the largest up to this that divides all layers’ inputs and outputs."
        ),
        AdapterSetting.Whole(TaskSize, 8, 1, 1 << 12, "Length of the vector of the task."),
    ];

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        options.With(Width, Divisors.Common((int)options.Setting(this, Width), Divisors.Sizes(all)));

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        int width = Divisors.Common((int)layer.Setting(Width), Divisors.Sizes(layer.AllModules));
        int size = (int)layer.Setting(TaskSize);
        (int down, int across) = (layer.Out / width, layer.In / width);
        Expression task = layer.Shared("polyhistor_task", (1, size), true, Start.Normal(1));
        Expression templateA = task.MatMul(
            layer.Shared("polyhistor_A", (size, rank * width), true, Start.Normal(1 / Math.Sqrt(size * width)))
        );
        Expression templateB = task.MatMul(layer.Shared("polyhistor_B", (size, width * rank), true, Start.Zeros));
        Factor kernelA = layer.Trained("polyhistor_kernel_A", (1, across), Start.Ones);
        Factor kernelB = layer.Trained("polyhistor_kernel_B", (down, 1), Start.Ones);
        Expression right = templateA
            .Reshape((rank * width, 1))
            .MatMul(kernelA)
            .Reshape((rank, width, across))
            .Permute(0, 2, 1)
            .Reshape((rank, layer.In));
        Expression left = kernelB.MatMul(templateB).Reshape((layer.Out, rank));
        return new AdapterForm { Terms = [new(left, right, layer.Options.Scale)] };
    }
}
