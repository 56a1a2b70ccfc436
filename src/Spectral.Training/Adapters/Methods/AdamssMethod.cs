using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// AdaMSS: outputs of a layer are divided into groups by their rows of the left singular vectors. Each group has a
/// small trained subspace A_c of the frozen right singular vectors V, and a row of B for each output.
/// </summary>
internal sealed class AdamssMethod : AdapterMethod
{
    private const string A = "adamss_A";
    private const string V = "adamss_V";
    private const string Groups = "adamss_groups";

    private const string Subspaces = "subspaces";
    private const string SubspaceRank = "subspace-rank";
    private const int Rounds = 10; // as in the published code

    public override string Name => "adamss";
    public override string Formula =>
        "W + M·V, row i of M is B_i·A_c for the group c of output i, V the rank leading right singular vectors of W";
    public override string Source => "AdaMSS, 2025, NeurIPS";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "subspace-rank·(out + subspaces·rank) numbers a layer. Ranks are larger than LoRA’s: 100 is customary. Costs a "
        + "token what a LoRA of rank subspaces·subspace-rank does. PEFT’s files lack the groups, so that they cannot "
        + "be read; of the published method, subspaces are not dropped in training.";

    // PEFT's type of the name has another layout.
    public override string PeftType => "ADAMSS_GROUPS";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Subspaces, 5, 1, 1 << 12, "Number of groups of outputs; at most that of outputs."),
        AdapterSetting.Whole(SubspaceRank, 1, 1, 1 << 12, "Rank of a group; at most rank."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        (int groups, int own) = (
            (int)Math.Min(layer.Out, layer.Setting(Subspaces)),
            (int)Math.Min(rank, layer.Setting(SubspaceRank))
        );
        int all = groups * own;
        Factor a = layer.Trained(A, (all, rank));
        Factor b = layer.Trained("adamss_B", (layer.Out, own));
        Factor members = layer.Frozen(Groups, (layer.Out, groups));
        Factor v = layer.Frozen(V, (rank, layer.In));
        // Column c·own + j is that of direction j of group c.
        Expression isIn = new Rearranged(
            members,
            (layer.Out, all),
            (nameof(AdamssMethod), layer.Out, groups, own),
            () => ([.. Enumerable.Range(0, layer.Out * all).Select(at => at / own)], null)
        );
        Expression left = b.Tile(1, groups).Multiply(isIn, Broadcast.PerElement);
        return new AdapterForm { Terms = [new(left, a.MatMul(v))] };
    }

    public override bool UsesSvd(AdapterOptions options) => true;

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.Compute(
            starts,
            start => start.Options.Rank,
            (start, svd) =>
            {
                start[V].CopyFrom(svd.Vt);
                Divide(start, svd.U.ToArray());
            }
        );

    /// <summary>Divides the rows of U [out, rank]; a group starts with the leading directions of its rows.</summary>
    private static void Divide(AdapterStart start, float[] rows)
    {
        (int outputs, int groups) = (start[Groups].Dim(0), start[Groups].Dim(1));
        (int all, int rank) = (start[A].Dim(0), start[A].Dim(1));
        int own = all / groups;
        int[] group = NearestMeans.Divide(rows, rank, groups, Rounds, (uint)start.Stream(Groups));
        float[] members = new float[outputs * groups];
        float[] directions = new float[all * rank];
        for (int i = 0; i < outputs; i++)
            members[i * groups + group[i]] = 1;
        for (int c = 0; c < groups; c++)
        {
            float[] inside = [.. Enumerable.Range(0, outputs).Where(i => group[i] == c).SelectMany(Row)];
            int count = inside.Length / rank;
            if (count == 0)
                continue;
            using var matrix = Tensor.From(start.Device, inside, (count, rank));
            int held = Math.Min(own, Math.Min(count, rank));
            using SvdResult leading = Svd.Compute(matrix, held, SvdMethod.Exact);
            leading.Vt.ToArray().CopyTo(directions, c * own * rank);
        }

        start[Groups].CopyFrom(members);
        start[A].CopyFrom(directions);

        IEnumerable<float> Row(int i) => rows.Skip(i * rank).Take(rank);
    }
}
