using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// TinyLoRA: the middle matrix of LoRA-XS is a mixture of fixed random matrices, whose few weights are shared by groups
/// of layers.
/// </summary>
internal sealed class TinyLoraMethod : AdapterMethod
{
    private const string A = "tinylora_A";
    private const string B = "tinylora_B";

    public override string Name => "tinylora";
    public override string Formula =>
        "W + U_r diag(sigma_r)·(Σ_i v_i P_i)·V_rᵀ, P_i random and frozen, v shared by a group of layers";
    public override string Source => "Learning to Reason in 13 Parameters, 2026, arXiv 2602.04118";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(2),
        PeftField.Dropout("tinylora_dropout"),
        PeftField.Bias("tinylora_only"),
        PeftField.Written("save_projection", true, CheckProjection),
        PeftField.Start("init_weights"),
        .. PeftField.Ignored("init_v_bound"),
    ];
    public override string Use =>
        "The fewest numbers of all: u for each group of layers, down to u for the whole model with "
        + "weight-tying 1. Rank 2 is customary.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole("u", 64, 1, 65536, "Number of trained weights of a group.") with
            {
                PeftKey = "u",
            },
            new("weight-tying", 0, 0, 1, "0: each layer is its own group; 1: all layers are one group.")
            {
                PeftKey = "weight_tying",
            },
            ProjectionSeed.Setting(42, "projection_seed"),
        ];

    /// <summary>Corrects the rank, which PEFT limits to the smaller size of a layer.</summary>
    internal override AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        shape(A) is [>= 1 and <= 1 << 16 and var rank, _] && rank < options.Rank
            ? options with
            {
                Rank = (int)rank,
            }
            : options;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, int u) = (layer.SpectralRank, (int)layer.Setting("u"));
        int place = Place(layer);
        Factor v = layer.Shared($"tinylora_v.{Group(layer, place)}", u, true, Start.Zeros);
        Factor p = layer.Frozen("tinylora_P", (u, rank, rank), Start.Computed(Projections));
        Expression middle = v.Reshape((1, u)).MatMul(p.Reshape((u, rank * rank))).Reshape((rank, rank));
        return new AdapterForm
        {
            Terms = [new(layer.Frozen(B, (layer.Out, rank)).MatMul(middle), layer.Frozen(A, (rank, layer.In)))],
        };

        float[] Projections() => ProjectionSeed.Generator(layer, place).Normal(u * rank * rank, 1 / Math.Sqrt(rank));
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

    /// <summary>Returns the group of a layer by PEFT's rule, in which neighbours share.</summary>
    private static int Group(AdapterBuilder layer, int place)
    {
        int count = layer.AllModules.Count;
        int groups = Math.Max(1, (int)Math.Round(count * (1 - layer.Setting("weight-tying"))));
        return Math.Min(place / Math.Max(1, count / groups), groups - 1);
    }

    /// <summary>Returns the layer's index among the adapted ones, with which PEFT seeds its projections.</summary>
    private static int Place(AdapterBuilder layer)
    {
        IReadOnlyList<ModuleShape> layers = layer.AllModules;
        return Enumerable.Range(0, layers.Count).First(i => layers[i].Name == layer.Module.Name);
    }

    /// <summary>
    /// Refuses a file without projections from PEFT 0.19, which drew them before it numbered the layers, from a seed
    /// that differs between processes.
    /// </summary>
    private static void CheckProjection(JsonFields fields)
    {
        if (
            fields.Boolean("save_projection") == false
            && fields.Text("peft_version")?.StartsWith("0.19.", StringComparison.Ordinal) == true
        )
        {
            throw fields.Wrong(
                "save_projection",
                "true in a file of PEFT 0.19, whose projections cannot be drawn again"
            );
        }
    }
}
