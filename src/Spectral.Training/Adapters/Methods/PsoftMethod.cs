using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>PSOFT: a scaled rotation of the leading singular directions. PEFT's alpha cancels and is not read.</summary>
internal sealed class PsoftMethod : AdapterMethod
{
    private const string A = "psoft_A";
    private const string B = "psoft_B";

    public override string Name => "psoft";
    public override string Formula => "W + U_r diag(sigma_r)·(diag(b)·Q(theta)·diag(a) − I)·V_rᵀ, Q a rotation [r, r]";
    public override string Source => "Efficient Orthogonal Fine-Tuning with Principal Subspace Adaptation, 2026, openreview FSHrinMArK";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(32), PeftField.Alpha("psoft_alpha", 32), PeftField.Dropout("psoft_dropout"), PeftField.FanInFanOut, PeftField.Is("ab_svd_init", "psoft_init"),
        PeftField.Is("psoft_orth", true, missing: true), PeftField.Is("psoft_mag_a", true, missing: true), PeftField.Is("psoft_mag_b", true, missing: true), PeftField.Start("init_weights"),
        .. PeftField.Unsupported("cayley_neumann_eps"), .. PeftField.Ignored("psoft_svd", "psoft_svd_lowrank_niter", "random_seed"),
    ];
    public override string Use => "Orthogonal fine-tuning at LoRA's speed: r(r − 1)/2 + 2r numbers a layer. Ranks of 32 to 256 are customary.";
    public override IReadOnlyList<AdapterSetting> Settings => CayleyRotation.Settings(neumann: false);

    public override AdapterForm Form(AdapterBuilder layer)
    {
        var rank = layer.SpectralRank;
        var rotation = CayleyRotation.Trained(layer, "psoft_R.weight", rank * (rank - 1) / 2, rank, "rank").Reshape((rank, rank));
        Factor b = layer.Trained("psoft_R.vector_b", rank, Start.Ones), a = layer.Trained("psoft_R.vector_a", rank, Start.Ones);
        var middle = rotation.ScaleRows(b).ScaleColumns(a).AddIdentity(-1);
        return new AdapterForm { Terms = [new(layer.Frozen(B, (layer.Out, rank)).MatMul(middle), layer.Frozen(A, (rank, layer.In)))] };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts) => SingularTriplets.Compute(starts, start => start.Options.Rank, (start, svd) =>
    {
        BroadcastMultiply.Run(svd.U, svd.S, start[B], Broadcast.PerColumn);
        start[A].CopyFrom(svd.Vt);
    });
}
