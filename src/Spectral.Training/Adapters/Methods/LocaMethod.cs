using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>LoCA with fixed locations. The published method also moves them in its first phase.</summary>
internal sealed class LocaMethod : AdapterMethod
{
    private const string Count = "components";
    private const string Scaling = "scaling";

    public override string Name => "loca";
    public override string Formula =>
        "W + scaling·C_outᵀ·F·C_in, C orthonormal DCT-II, F zero except for n trained coefficients "
        + "at fixed random places";
    public override string Source => "Du et al., 2025, arXiv 2502.06820";
    public override string Use => "Like fourierft at half its rank: n numbers a layer, a core of rank n up to n = 512.";
    public override bool IsPublishedForm => false;

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(
                Count,
                256,
                1,
                1 << 20,
                "Number n of coefficients, at most the number of elements of the weight."
            ),
            new(Scaling, 1, -1e9, 1e9, "Factor of the change."),
            Frequencies.SeedSetting,
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rows, int columns) = (layer.Out, layer.In);
        int n = (int)Math.Min(layer.Setting(Count), (double)rows * columns);
        Factor c = layer.Trained("loca_coefficients", n);
        (Expression left, Expression right) = Frequencies.Tables(
            layer,
            c,
            n,
            1,
            "cosine",
            (_, p, i) => Wave(p, i, rows),
            (_, q, j) => Wave(q, j, columns)
        );
        return Frequencies.Form(layer, left, c, right, layer.Setting(Scaling));
    }

    /// <summary>Returns element i of row k of the orthonormal DCT-II of n points.</summary>
    private static float Wave(int k, int i, int n) =>
        (float)(Math.Sqrt((k == 0 ? 1.0 : 2) / n) * Math.Cos(Math.PI * ((2L * i + 1) * k % (4L * n)) / (2 * n)));
}
