using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// ID3: every step opens a few more entries of the weight to training, those with the largest gradient relative to
/// their size among the ones that are still closed. At the end of the run as many are open as a LoRA has scalars.
/// </summary>
internal sealed class Id3Method : AdapterMethod
{
    private const string Power = "power";
    private const string Epsilon = "epsilon";

    public override string Name => "id3";
    public override string Formula =>
        "W + D, D zero except for rank·(in + out) entries, opened step by step: the largest |gradient| / (|W| + "
        + "epsilon)^power";
    public override string Source => "Agarwal et al., 2024, arXiv 2408.14470";
    public override string Use =>
        "Finds the entries to train while it trains. Each backward pass computes the whole gradient, which a step "
        + "holds until it has chosen; what stays is 16 bytes for each of the entries. Alpha is not used.";
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Power, 0, 0, 8, "Power of the weight's magnitude in the score; 0: the gradient alone."),
        new(Epsilon, 1e-3, 1e-12, 1e6, "Added to the magnitude, so that small weights do not take all."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        AdapterForm form = SparseMasks.Form(layer, SparseMasks.LoraBudget(layer.Module, layer.Rank));
        return form with { Entries = [form.Entries[0] with { Whole = new ObservedGradient((layer.Out, layer.In)) }] };
    }

    /// <summary>Opens the entries of this step, which train from this step on.</summary>
    public override void BeforeUpdate(AdapterStep step)
    {
        foreach (AdaptedModule module in step.Modules)
        {
            SparseChange change = module.Form.Entries[0];
            Parameter values = module.Factors[SparseMasks.Values];
            Tensor gradient = change.Whole!.Total(values.Master.Device);
            int open = change.Index.ToInt32Array().Count(place => place >= 0);
            int count = checked((int)(values.Shape.Count * step.Number / step.Total)) - open;
            if (count > 0)
            {
                using Tensor scores = Scores(module, gradient, change.Index);
                using var chosen = Tensor.Empty(scores.Device, count, DType.I32);
                LargestEntries.Find(scores, chosen);
                SparseMasks.Open(step, module, chosen.ToInt32Array());
                Entries.Gather(gradient, change.Index, values.Gradient!);
            }

            change.Whole.Clear();
        }
    }

    /// <summary>Returns the scores of closed entries; 0 for open ones.</summary>
    private Tensor Scores(AdaptedModule module, Tensor gradient, Tensor open)
    {
        var scores = Tensor.Empty(gradient.Device, gradient.Shape);
        scores.CopyFrom(gradient);
        using (var opened = Tensor.Empty(gradient.Device, open.Shape))
        {
            Entries.Gather(gradient, open, opened);
            Entries.Add(opened, open, scores, -1);
        }

        int power = (int)module.Options.Setting(this, Power);
        if (power == 0)
            return scores;
        using Tensor weight = module.Core.CopyWeight();
        using var sizes = Tensor.Empty(gradient.Device, gradient.Shape);
        using var ones = Tensor.Zeros(gradient.Device, gradient.Shape);
        Cast.Run(weight, sizes);
        ElementwiseMap.Forward(sizes, sizes, MapFunction.Square);
        ElementwiseMap.Forward(sizes, sizes, MapFunction.Sqrt);
        ElementwiseMap.Forward(ones, ones, MapFunction.Exp);
        Combine.Run(sizes, 1, ones, (float)module.Options.Setting(this, Epsilon), sizes);
        ElementwiseMap.Forward(sizes, sizes, MapFunction.Reciprocal);
        for (int i = 0; i < power; i++)
            BroadcastMultiply.Run(scores, sizes, scores, Broadcast.PerElement);
        return scores;
    }
}
