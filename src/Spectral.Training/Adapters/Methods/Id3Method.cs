using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// ID3: every step opens a few more entries of the weight to training, those with the largest gradient relative to
/// their size among the ones that are still closed. At the end of the run as many are open as a LoRA has scalars.
/// </summary>
internal sealed class Id3Method : AdapterMethod
{
    private const string Open = "id3_open";
    private const string Power = "power";
    private const string Epsilon = "epsilon";

    public override string Name => "id3";
    public override string Formula =>
        "W + D, D zero except for rank·(in + out) entries, opened step by step: the largest |gradient| / (|W| + "
        + "epsilon)^power";
    public override string Source => "Agarwal et al., 2024, arXiv 2408.14470";
    public override string Use =>
        "Finds the entries to train while it trains. It looks at the whole gradient, and so costs as much memory as "
        + "full fine-tuning. Alpha is not used.";
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Power, 0, 0, 8, "Power of the weight's magnitude in the score; 0: the gradient alone."),
        new(Epsilon, 1e-3, 1e-12, 1e6, "Added to the magnitude, so that small weights do not take all."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        _ = layer.State(Open, (layer.Out, layer.In));
        return new AdapterForm { Weight = layer.Weight.Add(layer.Trained(DeltaMethod.Leaf, (layer.Out, layer.In))) };
    }

    /// <summary>
    /// Opens the entries of this step and clears the gradients of those still closed, which therefore stay zero.
    /// </summary>
    public override void BeforeUpdate(AdapterStep step)
    {
        foreach (AdaptedModule module in step.Modules)
        {
            Tensor gradient = module.Factors[DeltaMethod.Leaf].Gradient!;
            Tensor open = module.Factors[Open].Master;
            long budget = Math.Min(SparseMasks.LoraBudget(module.Shape, module.Options.Rank), open.Count);
            long count = Opened(step.Number) - Opened(step.Number - 1);
            if (count > 0)
            {
                using Tensor scores = Scores(module, gradient, open);
                using var places = Tensor.Empty(open.Device, checked((int)count), DType.I32);
                using var ones = Tensor.From(open.Device, Enumerable.Repeat(1f, (int)count).ToArray(), (int)count);
                LargestEntries.Find(scores, places);
                Entries.Add(ones, places, open);
            }

            BroadcastMultiply.Run(gradient, open, gradient, Broadcast.PerElement);

            long Opened(int number) => budget * number / step.Total;
        }
    }

    /// <summary>Returns the scores of closed entries; 0 for open ones.</summary>
    private Tensor Scores(AdaptedModule module, Tensor gradient, Tensor open)
    {
        var scores = Tensor.Empty(gradient.Device, gradient.Shape);
        BroadcastMultiply.Run(gradient, open, scores, Broadcast.PerElement);
        Combine.Run(gradient, 1, scores, -1, scores);
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
