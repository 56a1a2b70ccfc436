using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SNELL: the change of a weight are the distances between the rows of two low-rank factors, of which only the largest
/// entries stay. Which these are is decided anew after each step.
/// </summary>
internal sealed class SnellMethod : AdapterMethod
{
    private const string Interval = "interval";

    public override string Name => "snell";
    public override string Formula =>
        "W + soft(Σ_h ±scale·‖b_i - a_j‖; t), b_i and a_j the rows of head h of B and A, t passed by a share of "
        + "1 - sparsity of the entries";
    public override string Source => "Shen et al., 2024, arXiv 2411.01800";
    public override string Use =>
        "A sparse change of full rank with the parameters of a LoRA. Costs as much memory and time as full fine-tuning "
        + "while a layer is computed, and one more pass over its distances for the threshold. Begins a little away "
        + "from the base, as published. Alpha is not used.";
    public override bool StartsAtBase => false;
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        SparseKernel.Sparsity,
        SparseKernel.Heads,
        SparseKernel.Scale,
        AdapterSetting.Whole(Interval, 1, 1, 1000000, "Steps from one threshold to the next."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (Factor left, Factor right) = SparseKernel.Declare(layer);
        Factor threshold = layer.Frozen(SparseKernel.Threshold, 1);
        Expression change = Change(left, right, layer.Options);
        return new AdapterForm { Weight = layer.Weight.Add(SparseKernel.Soft(change, threshold, left, right)) };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
            Adjust(start.Factors, start.Module, start.Options);
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        if (step.Number % (int)step.Options.Setting(this, Interval) != 0 && step.Number != step.Total)
            return false;
        foreach (AdaptedModule module in step.Modules)
            Adjust(module.Factors, module.Shape, module.Options);
        return true;
    }

    private void Adjust(
        IReadOnlyDictionary<string, Optim.Parameter> factors,
        ModuleShape module,
        AdapterOptions options
    ) =>
        SparseKernel.Adjust(
            factors,
            factor => Change(factor(SparseKernel.Left), factor(SparseKernel.Right), options),
            SparseKernel.Count(module, 1 - options.Setting(this, SparseKernel.Sparsity.Name))
        );

    private Expression Change(Factor left, Factor right, AdapterOptions options) =>
        SparseKernel.Distances(
            left,
            right,
            (int)options.Setting(this, SparseKernel.Heads.Name),
            options.Setting(this, SparseKernel.Scale.Name)
        );
}
