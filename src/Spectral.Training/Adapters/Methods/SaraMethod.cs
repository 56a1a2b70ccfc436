using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SaRA: the smallest entries of the weight train, which have the least effect so far, as many as a LoRA has scalars. A
/// penalty keeps the change of one random layer a step at low rank. Half way, those that have grown above the largest
/// of the chosen magnitudes stay as they are, and the rest train on.
/// </summary>
internal sealed class SaraMethod : AdapterMethod
{
    private const string Lambda = "lambda";
    private const string Threshold = "mask_threshold";

    public override string Name => "sara";
    public override string Formula =>
        "W + S, S zero except for the rank·(in + out) entries with the smallest |W|, loss + lambda·‖S‖_* of one random "
        + "layer a step";
    public override string Source => "Hu et al., 2024, arXiv 2409.06633";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Trains the weights that matter least, so that little is forgotten. The penalty costs one exact SVD a step, 0 "
        + "leaves it out. Alpha is not used.";
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [new(Lambda, 1e-4, 0, 1e6, "Weight of the nuclear norm of the change.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        long count = SparseMasks.LoraBudget(layer.Module, layer.Rank);
        _ = layer.Frozen(Threshold, 1);
        return SparseMasks.WithKept(layer, SparseMasks.Form(layer, count), count);
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            Tensor places = start[SparseMasks.Places];
            using var scores = Tensor.Empty(start.Device, start.Base.Shape);
            using var chosen = Tensor.Empty(start.Device, places.Shape);
            Cast.Run(start.Weight, scores);
            ElementwiseMap.Forward(scores, scores, MapFunction.Reciprocal);
            LargestEntries.Find(scores, places);
            Entries.Gather(start.Weight, places, chosen);
            start.Release();
            start[Threshold].CopyFrom([chosen.ToArray().Max(Math.Abs)]);
        }
    }

    /// <summary>Adds the gradient of the nuclear norm, U·Vᵀ at the places, to one layer's.</summary>
    public override void BeforeUpdate(AdapterStep step)
    {
        double lambda = step.Options.Setting(this, Lambda);
        if (lambda == 0)
            return;
        // Drawn from the seed and the step only, so that a run can be repeated from any point.
        ulong drawn = RandomStream.For($"{Name}.{step.Options.Seed}.{step.Number}");
        AdaptedModule module = step.Modules[(int)(drawn % (ulong)step.Modules.Count)];
        Tensor gradient = module.Factors[SparseMasks.Values].Gradient!;
        ModuleShape shape = module.Shape;
        using var change = Tensor.From(gradient.Device, module.Core.ChangeAlone(), (shape.Out, shape.In));
        using SvdResult svd = Svd.Compute(change, Math.Min(shape.Out, shape.In), SvdMethod.Exact);
        if (svd.NumericalRank == 0)
            return;
        using var left = Tensor.Empty(gradient.Device, (shape.Out, svd.NumericalRank));
        using Tensor right = svd.Vt.Rows(0, svd.NumericalRank);
        using var slope = Tensor.Empty(gradient.Device, (shape.Out, shape.In));
        using var entries = Tensor.Empty(gradient.Device, gradient.Shape);
        CopyBlock.Take(svd.U, 0, 0, left);
        Gemm.Run(left, right, slope);
        Entries.Gather(slope, module.Factors[SparseMasks.Places].Master, entries);
        Combine.Run(gradient, 1, entries, (float)lambda, gradient);
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        if (step.Number != step.Total / 2)
            return false;
        foreach (AdaptedModule module in step.Modules)
        {
            float threshold = module.Factors[Threshold].Master.ToArray()[0];
            using Tensor weight = module.Core.CopyWeight();
            using var entries = Tensor.Empty(weight.Device, module.Factors[SparseMasks.Values].Shape);
            Entries.Gather(weight, module.Factors[SparseMasks.Places].Master, entries);
            float[] now = entries.ToArray();
            SparseMasks.Retire(step, module, k => Math.Abs(now[k]) > threshold);
        }

        return true;
    }
}
