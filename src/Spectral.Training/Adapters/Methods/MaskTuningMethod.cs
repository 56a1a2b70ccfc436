using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Regularised mask tuning: the weight keeps its values, and training decides which of its important entries are
/// switched off. These are the ones with the largest gradient on calibration data. A gradient that would move the loss
/// on those data the other way is dropped.
/// </summary>
internal sealed class MaskTuningMethod : AdapterMethod
{
    private const string Weights = "mask_weights";
    private const string Scores = "mask_scores";
    private const string General = "mask_general";
    private const string Soft = "soft";
    private const string Unregularised = "unregularised";

    private const double StartScore = 0.01; // on, and ten steps of AdamW at a rate of 1e-3 away from off

    public override string Name => "mask-tuning";
    public override string Formula =>
        "W∘m, m = 1 except for rank·(in + out) entries with m = [sigmoid(score) > 1/2], trained straight through";
    public override string Source => "Zheng et al., 2023, arXiv 2307.15049";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Adapts by leaving out knowledge: no weight gets a new value. The calibration data stand for what should be "
        + "kept. Alpha is not used.";
    public override bool StartsFromData => true;
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Switch(Soft, false, "Multiply by sigmoid(score) itself, for comparison."),
        AdapterSetting.Switch(Unregularised, false, "Keep gradients that oppose those of the calibration data."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        Factor places = layer.Places(SparseMasks.Places, SparseMasks.LoraBudget(layer.Module, layer.Rank));
        Factor weights = layer.Frozen(Weights, places.Shape);
        Factor scores = layer.Trained(Scores, places.Shape, Start.Of(StartScore));
        Factor ones = layer.State("ones", places.Shape, Start.Ones);
        _ = layer.Frozen(General, places.Shape);
        Expression soft = scores.Scale(-1).Exp().Add(ones).Reciprocal();
        Expression mask = layer.IsOn(Soft) ? soft : scores.Sign().Add(ones, 0.5, 0.5).StraightThrough(soft);
        Expression change = weights.Multiply(mask.Subtract(ones), Broadcast.PerElement);
        return new AdapterForm { Entries = [new SparseChange(places, change)] };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        IEnumerable<Tensor> gradients = starts[0].Calibration.Gradients([.. starts.Select(start => start.Module.Name)]);
        foreach ((AdapterStart start, Tensor gradient) in starts.Zip(gradients))
        {
            using (gradient)
            {
                Tensor places = start[SparseMasks.Places];
                LargestEntries.Find(gradient, places);
                Entries.Gather(start.Weight, places, start[Weights]);
                start.Release();
                // The gradient of a score is that of the entry times the weight and a positive slope.
                Entries.Gather(gradient, places, start[General]);
                BroadcastMultiply.Run(start[General], start[Weights], start[General], Broadcast.PerElement);
            }
        }
    }

    /// <summary>Multiplies each gradient by whether its sign is the general one. Waits for the device.</summary>
    public override void BeforeUpdate(AdapterStep step)
    {
        foreach (AdaptedModule module in step.Modules.Where(Drops))
        {
            Tensor gradient = module.Factors[Scores].Gradient!;
            float[] own = gradient.ToArray();
            float[] general = module.Factors[General].Master.ToArray();
            gradient.CopyFrom([.. own.Zip(general, (mine, theirs) => mine * theirs < 0 ? 0 : mine)]);
        }
    }

    private bool Drops(AdaptedModule module) => module.Options.Setting(this, Unregularised) == 0;
}
