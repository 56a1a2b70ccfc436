using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Composable sparse fine-tuning: in the first part of the run the whole weight trains; then it goes back to where it
/// began, and only the entries that had changed most train on, as many as a LoRA has scalars. Moments begin anew with
/// the second part, which holds nothing of the weight's size.
/// </summary>
internal sealed class ComposableSftMethod : AdapterMethod
{
    private const string First = "first";

    public override string Name => "composable-sft";
    public override string Formula =>
        "W + D, D zero except for the rank·(in + out) entries that change most in a first run without limits";
    public override string Source => "Ansell et al., 2022, arXiv 2110.07560";
    public override string Use =>
        "Sparse changes that can be added up, for example of a language and of a task (spectral merge). The first part "
        + "costs as much memory as full fine-tuning, since it is that; the second, and the files, have the entries "
        + "alone. Alpha is not used.";
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [new(First, 0.5, 0, 0.99, "Share of the run's steps in which the whole weight trains."), ChosenEntries.Kept];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        // The rank is read here, as the number of entries depends on it.
        _ = layer.Rank;
        return SparseMasks.KeptForm(layer)
            ?? new AdapterForm { Weight = layer.Weight.Add(layer.Trained(DeltaMethod.Leaf, (layer.Out, layer.In))) };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts) => SparseMasks.RequireWhole(this, starts);

    // An adapter that is trained on has its entries already.
    internal override bool ChoosesEntries(AdapterStep step) =>
        step.Number == (int)(step.Options.Setting(this, First) * step.Total) && step.Modules[0].Form.Entries.Count == 0;

    internal override IReadOnlyList<ChosenEntries> ChooseEntries(AdapterStep step) =>
        [.. step.Modules.Select(MostChanged)];

    private static ChosenEntries MostChanged(AdaptedModule module)
    {
        Tensor change = module.Factors[DeltaMethod.Leaf].Master;
        long budget = SparseMasks.LoraBudget(module.Shape, module.Options.Rank);
        int count = checked((int)Math.Min(budget, change.Count));
        using var places = Tensor.Empty(change.Device, count, DType.I32);
        LargestEntries.Find(change, places);
        return new ChosenEntries(places.ToInt32Array(), new float[count]);
    }
}
