using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// KAdaptation: a sum of n Kronecker products of small matrices A_i, which all layers share, with products of a layer's
/// own thin factors. A_i ⊗ (U_i·V_i) is (A_i ⊗ U_i)·(I ⊗ V_i), so that all of them form one core of rank n²·rank.
/// </summary>
internal sealed class KadaptationMethod : AdapterMethod
{
    private const string Count = "blocks";

    public override string Name => "kadaptation";
    public override string Formula =>
        "W + (alpha/rank)·Σ_i A_i ⊗ (U_i·V_i), A_1 to A_n [n, n] shared by all layers, n = blocks";
    public override string Source => "He et al., 2022, arXiv 2203.16329";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "n³ numbers for the whole model and rank·(in + out) a layer. Rank 1 is customary; a token costs what a LoRA of "
        + "n²·rank does.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(
            Count,
            4,
            1,
            64,
            "Number n of products and size of A_i: the largest up to this that divides all layers’ inputs and outputs."
        ),
    ];

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        options.With(Count, Divisors.Common((int)options.Setting(this, Count), Divisors.Sizes(all)));

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, int n) = (layer.Rank, Divisors.Common((int)layer.Setting(Count), Divisors.Sizes(layer.AllModules)));
        (int all, int high, int broad) = (n * rank, layer.Out / n, layer.In / n);
        Factor shared = layer.Shared("kadaptation_A", (n, n, n), true, Start.Normal(1 / Math.Sqrt(n)));
        Factor u = layer.Trained("kadaptation_U", (all, high));
        Factor v = layer.Trained("kadaptation_V", (all, broad), Start.KaimingUniform);
        // Product number j·n + i is that of A_i with direction j of its U and V.
        Expression left = shared
            .Repeat(rank)
            .Reshape((all, n * n, 1))
            .MatMul(u.Reshape((all, 1, high)))
            .Reshape((all, n, n, high))
            .Permute(1, 3, 0, 2)
            .Reshape((layer.Out, all * n));
        var right = new Rearranged(
            v,
            (all * n, layer.In),
            (nameof(KadaptationMethod), all, n, broad),
            () => (Diagonals(all, n, broad), null)
        );
        return new AdapterForm { Terms = [new(left, right, layer.Options.Scale)] };
    }

    /// <summary>Returns the places of I ⊗ v below each other for each v of a number.</summary>
    private static int[] Diagonals(int count, int n, int broad)
    {
        int[] index = new int[count * n * n * broad];
        for (int at = 0; at < index.Length; at++)
        {
            (int row, int column) = (at / (n * broad), at % (n * broad));
            index[at] = row % n == column / broad ? row / n * broad + column % broad : -1;
        }

        return index;
    }
}
