using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Composable sparse fine-tuning: in the first part of the run the whole weight trains; then it goes back to where it
/// began, and only the entries that had changed most train on, as many as a LoRA has scalars. Moments begin anew with
/// the second part.
/// </summary>
internal sealed class ComposableSftMethod : AdapterMethod
{
    private const string Open = "sft_open";
    private const string First = "first";

    public override string Name => "composable-sft";
    public override string Formula =>
        "W + D, D zero except for the rank·(in + out) entries that change most in a first run without limits";
    public override string Source => "Ansell et al., 2022, arXiv 2110.07560";
    public override string Use =>
        "Sparse changes that can be added up, for example of a language and of a task (spectral merge). Costs as much "
        + "memory as full fine-tuning, since its first part is that, and as much time again. Alpha is not used.";
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [new(First, 0.5, 0, 0.99, "Share of the run's steps in which the whole weight trains.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        _ = layer.State(Open, (layer.Out, layer.In), Start.Ones);
        return new AdapterForm { Weight = layer.Weight.Add(layer.Trained(DeltaMethod.Leaf, (layer.Out, layer.In))) };
    }

    public override void BeforeUpdate(AdapterStep step)
    {
        if (step.Number <= Last(step))
            return;
        foreach (AdaptedModule module in step.Modules)
        {
            Tensor gradient = module.Factors[DeltaMethod.Leaf].Gradient!;
            BroadcastMultiply.Run(gradient, module.Factors[Open].Master, gradient, Broadcast.PerElement);
        }
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        if (step.Number != Last(step))
            return false;
        foreach (AdaptedModule module in step.Modules)
        {
            Tensor change = module.Factors[DeltaMethod.Leaf].Master;
            Tensor open = module.Factors[Open].Master;
            long budget = SparseMasks.LoraBudget(module.Shape, module.Options.Rank);
            int count = checked((int)Math.Min(budget, change.Count));
            using var places = Tensor.Empty(change.Device, count, DType.I32);
            using var ones = Tensor.From(change.Device, Enumerable.Repeat(1f, count).ToArray(), count);
            LargestEntries.Find(change, places);
            open.Clear();
            Entries.Add(ones, places, open);
            change.Clear();
        }

        step.Parameters.NotifyRestarted();
        return true;
    }

    /// <summary>Returns the last step of the first part; 0 without one.</summary>
    private int Last(AdapterStep step) => (int)(step.Options.Setting(this, First) * step.Total);
}
