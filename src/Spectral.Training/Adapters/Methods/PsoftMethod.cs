using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// PSOFT: a scaled rotation of the leading singular directions, which are stored in the file. PEFT's alpha cancels and
/// is not read. PEFT does not store the directions but repeats its SVD when it loads a folder. Their signs, on which
/// the rotation depends, differ between LAPACK versions and GPUs.
/// </summary>
internal sealed class PsoftMethod : AdapterMethod
{
    private const string A = "psoft_A";
    private const string B = "psoft_B";
    private const string Theta = "psoft_theta";
    private const string Inner = "psoft_a";
    private const string Outer = "psoft_b";
    private const string FormerTheta = "psoft_R.weight";

    public override string Name => "psoft";
    public override string Formula => "W + U_r diag(sigma_r)·(diag(b)·Q(theta)·diag(a) − I)·V_rᵀ, Q a rotation [r, r]";
    public override string Source =>
        "Efficient Orthogonal Fine-Tuning with Principal Subspace Adaptation, 2026, openreview FSHrinMArK";
    public override string Use =>
        "Orthogonal fine-tuning at LoRA's speed: r(r − 1)/2 + 2r numbers a layer. Ranks of 32 to 256 "
        + "are customary. Export writes a LoRA for PEFT, whose own type would compute other signs.";
    public override string PeftType => "PSOFT_FACTORS";
    public override string? FormerPeftType => "PSOFT";
    public override string? FormerRefusal =>
        "its factors come from an SVD that PEFT repeats whenever it loads the folder, and their signs differ from one "
        + "LAPACK or GPU to the next; expected what PEFT converts it to (convert_to_lora), or merges";
    public override IReadOnlyDictionary<string, string?> FormerLeaves { get; } =
        new Dictionary<string, string?>
        {
            [FormerTheta] = Theta,
            ["psoft_R.vector_a"] = Inner,
            ["psoft_R.vector_b"] = Outer,
        };
    public override IReadOnlyList<AdapterSetting> Settings => CayleyRotation.Settings(neumann: false, opposite: true);

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        Expression rotation = CayleyRotation
            .Trained(layer, Theta, rank * (rank - 1) / 2, rank, "rank", opposite: true)
            .Reshape((rank, rank));
        Factor b = layer.Trained(Outer, rank, Start.Ones);
        Factor a = layer.Trained(Inner, rank, Start.Ones);
        Expression middle = rotation.ScaleRows(b).ScaleColumns(a).AddIdentity(-1);
        return new AdapterForm
        {
            Terms = [new(layer.Frozen(B, (layer.Out, rank)).MatMul(middle), layer.Frozen(A, (rank, layer.In)))],
        };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(
            starts,
            start => start.Options.Rank,
            (start, svd) =>
            {
                BroadcastMultiply.Run(svd.U, svd.S, start[B], Broadcast.PerColumn);
                start[A].CopyFrom(svd.Vt);
            }
        );

    /// <summary>
    /// Reverses the rotations of the former type's folders, which were trained with Cayley's formula in the opposite
    /// direction; the series had the same direction.
    /// </summary>
    internal override IEnumerable<AdapterTensor> Unfold(IReadOnlyList<AdapterTensor> tensors, AdapterOptions options) =>
        tensors.Select(tensor =>
            tensor.Name.EndsWith(FormerTheta, StringComparison.Ordinal) && !CayleyRotation.IsSeries(this, options)
                ? tensor with
                {
                    ToFloats = () => Array.ConvertAll(tensor.ToFloats(), value => -value),
                }
                : tensor
        );
}
