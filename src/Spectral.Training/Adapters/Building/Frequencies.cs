using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Changes of a weight that have few coefficients in some frame of waves: <c>s·L·diag(c)·R</c>, column k of L and row k
/// of R those of one wave.
/// </summary>
internal static class Frequencies
{
    private const string Seed = "location-seed";

    // Up to here a core costs less than the weight made anew, whose gradient is a product as large as the layer's own.
    private const int LargestCore = 512;

    /// <summary>The setting that the waves are drawn by.</summary>
    public static AdapterSetting SeedSetting =>
        AdapterSetting.Whole(Seed, 777, 0, int.MaxValue, "Seed of the locations; needed to read a file.");

    /// <summary>As a core, or beyond its largest rank as a weight.</summary>
    public static AdapterForm Form(
        AdapterBuilder layer,
        Expression left,
        Expression coefficients,
        Expression right,
        double scale
    ) =>
        right.Shape[0] <= LargestCore
            ? new AdapterForm { Terms = [new(left, right, scale) { Middle = coefficients }] }
            : new AdapterForm { Weight = layer.Weight.Add(left.ScaleColumns(coefficients).MatMul(right), 1, scale) };

    /// <summary>
    /// Tables of a layer's waves: <c>L [out, waves]</c> and <c>R [waves, in]</c>, the same for all layers of a size.
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="beside">Any factor of it.</param>
    /// <param name="count">Locations (p, q), no two the same; as PEFT draws them.</param>
    /// <param name="waves">Waves per location.</param>
    /// <param name="tag">Names the waves.</param>
    /// <param name="left">Element i of a column of L, from the wave's number at its location, p and i.</param>
    /// <param name="right">Element j of a row of R, from the wave's number, q and j.</param>
    /// <exception cref="InputException">The layer is too large for PEFT's way to draw.</exception>
    public static (Expression Left, Expression Right) Tables(
        AdapterBuilder layer,
        Factor beside,
        int count,
        int waves,
        string tag,
        Func<int, int, int, float> left,
        Func<int, int, int, float> right
    )
    {
        (int rows, int columns, uint seed) = (layer.Out, layer.In, (uint)layer.Setting(Seed));
        if ((long)rows * columns >= TorchPermutation.MaxCount)
        {
            throw new InputException(
                $"{layer.Module.Name} is [{rows}, {columns}]: {layer.Method.Name} draws locations in "
                    + $"weights of fewer than {TorchPermutation.MaxCount} elements"
            );
        }

        int all = count * waves;
        (
            (string tag, string, int columns, int count, uint seed) outputs,
            (string tag, string, int rows, int count, uint seed) inputs
        ) = ((tag, "L", columns, count, seed), (tag, "R", rows, count, seed));
        return (
            beside.Table((rows, all), outputs, () => Left(Locations())),
            beside.Table((all, columns), inputs, () => Right(Locations()))
        );

        int[] Locations() => TorchPermutation.First(count, rows * columns, seed);

        float[] Left(int[] locations) =>
            [
                .. Enumerable
                    .Range(0, rows * all)
                    .Select(at => left(at % all / count, locations[at % count] / columns, at / all)),
            ];

        float[] Right(int[] locations) =>
            [
                .. Enumerable
                    .Range(0, all * columns)
                    .Select(at => right(at / columns / count, locations[at / columns % count] % columns, at % columns)),
            ];
    }
}
