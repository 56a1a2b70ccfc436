using System.Numerics;
using Spectral.Training.Numerics;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

public sealed partial class WeightFormulaTests
{
    private static IEnumerable<Case> Waves()
    {
        // few; all there are; more than a core has
        foreach ((int rows, int columns, int n) in new[] { (6, 9, 7), (8, 5, 1000), (24, 26, 300) })
        {
            yield return new(
                "fourierft",
                rows,
                columns,
                1,
                new() { ["n-frequency"] = n, ["scaling"] = 20 },
                layer => Fourier(layer, 20)
            );
            yield return new(
                "loca",
                rows,
                columns,
                1,
                new() { ["components"] = n == 300 ? 600 : n, ["scaling"] = 2 },
                layer => Cosine(layer, 2)
            );
        }
    }

    /// <summary>The inverse DFT of the spectrum with its coefficients in place, by the definition.</summary>
    private static double[] Fourier(Layer layer, double scaling)
    {
        (int rows, int columns, double[] c) = (layer.Rows, layer.Columns, layer.Factors["fourierft_spectrum"]);
        int[] places = TorchPermutation.First(c.Length, rows * columns, 777);
        return Change(
            layer,
            Dense.Of(
                rows,
                columns,
                (i, j) =>
                {
                    Complex sum = Complex.Zero;
                    for (int k = 0; k < c.Length; k++)
                    {
                        sum +=
                            c[k]
                            * Complex.Exp(
                                Complex.ImaginaryOne
                                    * 2
                                    * Math.PI
                                    * (
                                        (double)(places[k] / columns) * i / rows
                                        + (double)(places[k] % columns) * j / columns
                                    )
                            );
                    }

                    return scaling * sum.Real / (rows * columns);
                }
            )
        );
    }

    private static double[] Cosine(Layer layer, double scaling)
    {
        (int rows, int columns, double[] c) = (layer.Rows, layer.Columns, layer.Factors["loca_coefficients"]);
        int[] places = TorchPermutation.First(c.Length, rows * columns, 777);
        var spectrum = new Dense(rows, columns);
        for (int k = 0; k < c.Length; k++)
            spectrum[places[k] / columns, places[k] % columns] = c[k];
        return Change(layer, scaling * (Transform(rows).Transposed * spectrum * Transform(columns)));

        static Dense Transform(int n) =>
            Dense.Of(
                n,
                n,
                (k, i) => Math.Sqrt((k == 0 ? 1.0 : 2.0) / n) * Math.Cos(Math.PI * (2 * i + 1) * k / (2 * n))
            );
    }
}
