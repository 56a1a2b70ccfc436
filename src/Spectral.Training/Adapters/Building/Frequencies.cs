using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Builds weight changes with few coefficients in a frame of waves, <c>s·L·diag(c)·R</c>. Column k of L and row k of R
/// belong to one wave.
/// </summary>
internal static class Frequencies
{
    private const string Seed = "location-seed";

    // Up to this rank a core costs less than a new weight, whose gradient is a product as large as the layer's own.
    private const int LargestCore = 512;

    /// <summary>The seed setting from which the waves' locations are drawn.</summary>
    public static AdapterSetting SeedSetting =>
        AdapterSetting.Whole(Seed, 777, 0, int.MaxValue, "Seed of the locations; needed to read a file.");

    /// <summary>Returns the change as a low-rank term, or as a weight if its rank is too large.</summary>
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
    /// Returns the tables of a layer's waves, <c>L [out, waves]</c> and <c>R [waves, in]</c>. Layers of the same size
    /// share them.
    /// </summary>
    /// <param name="layer">The builder of the layer's form.</param>
    /// <param name="beside">Any factor of the layer; the tables are on its device.</param>
    /// <param name="count">The number of distinct locations (p, q), drawn as in PEFT.</param>
    /// <param name="waves">The number of waves per location.</param>
    /// <param name="tag">A name for this kind of waves; tables with different names are not shared.</param>
    /// <param name="left">Computes element i of a column of L from the wave's number at its location, p and i.</param>
    /// <param name="right">Computes element j of a row of R from the wave's number at its location, q and j.</param>
    /// <param name="place">
    /// Returns the p and q that a location (p, q) counts as, where they depend on each other; null: itself.
    /// </param>
    /// <exception cref="InputException">The layer is too large for PEFT's way of drawing.</exception>
    public static (Expression Left, Expression Right) Tables(
        AdapterBuilder layer,
        Factor beside,
        int count,
        int waves,
        string tag,
        Func<int, int, int, float> left,
        Func<int, int, int, float> right,
        Func<int, int, (int P, int Q)>? place = null
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

        (int P, int Q)[] Locations() =>
            Array.ConvertAll(
                TorchPermutation.First(count, rows * columns, seed),
                at => place?.Invoke(at / columns, at % columns) ?? (at / columns, at % columns)
            );

        float[] Left((int P, int Q)[] locations) =>
            [
                .. Enumerable
                    .Range(0, rows * all)
                    .Select(at => left(at % all / count, locations[at % count].P, at / all)),
            ];

        float[] Right((int P, int Q)[] locations) =>
            [
                .. Enumerable
                    .Range(0, all * columns)
                    .Select(at => right(at / columns / count, locations[at / columns % count].Q, at % columns)),
            ];
    }
}
