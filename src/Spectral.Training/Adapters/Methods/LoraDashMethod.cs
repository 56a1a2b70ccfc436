using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LoRA-Dash: a few steps of LoRA show which singular directions u_i v_iᵀ of W the task changes most, relative to σ_i.
/// Then strengths ε of these directions train as well. Until then, the directions are the leading ones and ε is kept at
/// zero.
/// </summary>
internal sealed class LoraDashMethod : AdapterMethod
{
    private const string U = "dash_U";
    private const string V = "dash_V";
    private const string Strength = "dash_delta";

    public override string Name => "lora-dash";
    public override string Formula =>
        "W + (alpha/rank)·B·A + U·diag(epsilon)·Vᵀ; U, V the top-k singular directions by |uᵀ·s·B·A·v| / "
        + "sigma after the first steps";
    public override string Source => "Si et al., 2024, arXiv 2409.01035";
    public override string Use =>
        "LoRA with a few more parameters where the task needs them most. Choosing them takes one "
        + "exact SVD of every layer during training.";
    public override bool UsesTopK => true;
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(
            "warmup",
            100,
            1,
            1000000,
            "Steps of plain LoRA before directions are chosen, at most half of the run's steps."
        ),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int k = layer.Triplets("top-k", layer.Options.TopK);
        var directions = new LowRankTerm(layer.Frozen(U, (layer.Out, k)), layer.Frozen(V, (k, layer.In)))
        {
            Middle = layer.Trained(Strength, k),
        };
        return new AdapterForm { Terms = [directions, LoraMethod.Term(layer, layer.Rank)] };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(
            starts,
            start => start.Options.TopK,
            (start, svd) =>
            {
                start[U].CopyFrom(svd.U);
                start[V].CopyFrom(svd.Vt);
            }
        );

    public override void BeforeUpdate(AdapterStep step)
    {
        if (step.Number > Chosen(step))
            return;
        foreach (AdaptedModule module in step.Modules)
            module.Factors[Strength].Gradient!.Clear();
    }

    public override bool AfterUpdate(AdapterStep step)
    {
        if (step.Number != Chosen(step))
            return false;
        foreach (AdaptedModule module in step.Modules)
        {
            using Tensor weight = module.Core.CopyWeight();
            using SvdResult svd = Svd.Compute(weight, Math.Min(module.Shape.Out, module.Shape.In), SvdMethod.Exact);
            int[] found =
            [
                .. Changes(module, svd)
                    .Select((change, i) => (change, i))
                    .OrderByDescending(pair => pair.change)
                    .Take(module.Options.TopK)
                    .Select(pair => pair.i),
            ];
            svd.CopyLeft(module.Factors[U].Master, found, _ => 1);
            svd.CopyRight(module.Factors[V].Master, found, _ => 1);
        }
        return true;
    }

    /// <summary>
    /// Returns |u_iᵀ·L·R·v_i| / σ_i, without the scale, which is the same for all; 0 where σ_i is only rounding error.
    /// </summary>
    private static double[] Changes(AdaptedModule module, SvdResult svd)
    {
        (Tensor left, Tensor right, int k) = (
            module.Factors[LoraNames.B].Master,
            module.Factors[LoraNames.A].Master,
            svd.S.Dim(0)
        );
        using var ofLeft = Tensor.Empty(left.Device, (k, module.Options.Rank));
        using var ofRight = Tensor.Empty(left.Device, (k, module.Options.Rank));
        using var products = Tensor.Empty(left.Device, k);
        Gemm.Run(Gemm.Transposed(svd.U), left, ofLeft);
        Gemm.Run(svd.Vt, Gemm.Transposed(right), ofRight);
        BroadcastDot.Run(ofLeft, ofRight, products, Broadcast.PerRow);
        float[] sigma = svd.S.ToArray();
        return
        [
            .. products
                .ToArray()
                .Select((product, i) => i < svd.NumericalRank ? Math.Abs(product) / (double)sigma[i] : 0),
        ];
    }

    private int Chosen(AdapterStep step) => Math.Min((int)step.Options.Setting(this, "warmup"), step.Total / 2);
}
