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

        foreach (Case test in Wavelets())
            yield return test;
    }

    private static IEnumerable<Case> Wavelets()
    {
        foreach ((int rows, int columns, int n) in new[] { (6, 9, 7), (8, 5, 1000), (24, 26, 600) })
        {
            for (int filter = 0; filter < 4; filter++)
            {
                int length = 2 * filter + 2;
                yield return new(
                    "waveft",
                    rows,
                    columns,
                    1,
                    new()
                    {
                        ["n-frequency"] = n,
                        ["scaling"] = 3,
                        ["wavelet"] = filter,
                    },
                    layer => Wavelet(layer, 3, length)
                );
            }

            yield return new(
                "waveft",
                rows,
                columns,
                1,
                new() { ["n-frequency"] = n, ["use-idwt"] = 1 },
                layer => Change(layer, 25 * Spectrum(layer, rows, columns, 0, 0))
            );
        }
    }

    private static Dense Spectrum(Layer layer, int rows, int columns, int above, int before)
    {
        double[] c = layer.Factors["waveft_spectrum"];
        int[] places = TorchPermutation.First(c.Length, layer.Rows * layer.Columns, 777);
        var spectrum = new Dense(rows, columns);
        for (int k = 0; k < c.Length; k++)
            spectrum[places[k] / layer.Columns + above, places[k] % layer.Columns + before] = c[k];
        return spectrum;
    }

    /// <summary>
    /// PEFT's steps, by the definition: coefficients with a margin for the filter, quarters, a transposed convolution
    /// of stride 2 of each with its pair of filters, and the middle of the result. The filters are solved for here.
    /// </summary>
    private static double[] Wavelet(Layer layer, double scaling, int length)
    {
        (int rows, int columns) = (layer.Rows, layer.Columns);
        (int high, int wide) = ((rows + length - 1) / 2, (columns + length - 1) / 2);
        Dense spectrum = Spectrum(layer, 2 * high, 2 * wide, (2 * high - rows) / 2, (2 * wide - columns) / 2);
        double[] low = Daubechies(length);
        double[] detail = [.. low.Select((_, i) => (i % 2 == 0 ? 1 : -1) * low[length - 1 - i])];
        var whole = new Dense(2 * high + length - 2, 2 * wide + length - 2);
        for (int p = 0; p < 2 * high; p++)
        {
            for (int q = 0; q < 2 * wide; q++)
            {
                // Right of the smooth quarter, rows have the detail filter; below it, columns have.
                (double[] down, double[] across) = (q < wide ? low : detail, p < high ? low : detail);
                for (int i = 0; i < length; i++)
                {
                    for (int j = 0; j < length; j++)
                        whole[2 * (p % high) + i, 2 * (q % wide) + j] += spectrum[p, q] * down[i] * across[j];
                }
            }
        }

        return Change(layer, scaling * Dense.Of(rows, columns, (i, j) => whole[i + length - 2, j + length - 2]));
    }

    /// <summary>
    /// The smooth filter with as many moments zero as its length allows, by Newton's method on its definition: shifts
    /// by two are orthonormal, and Σ (−1)^k k^m h_k = 0 for m below length/2. It begins near the one of minimal phase.
    /// </summary>
    private static double[] Daubechies(int length)
    {
        double[] h = length switch
        {
            2 => [0.7, 0.7],
            4 => [0.48, 0.84, 0.22, -0.13],
            6 => [0.33, 0.81, 0.46, -0.14, -0.09, 0.04],
            _ => [0.23, 0.71, 0.63, -0.03, -0.19, 0.03, 0.03, -0.01],
        };
        for (int step = 0; step < 30; step++)
        {
            var jacobian = Dense.Of(
                length,
                length,
                (row, column) =>
                {
                    double kept = h[column];
                    h[column] = kept + 1e-6;
                    double above = Equation(row);
                    h[column] = kept - 1e-6;
                    double below = Equation(row);
                    h[column] = kept;
                    return (above - below) / 2e-6;
                }
            );
            Dense correction = jacobian.Inverse() * Dense.Of(length, 1, (row, _) => Equation(row));
            for (int i = 0; i < length; i++)
                h[i] -= correction[i, 0];
        }

        return h;

        double Equation(int row) =>
            row < length / 2
                ? Enumerable.Range(0, length - 2 * row).Sum(k => h[k] * h[k + 2 * row]) - (row == 0 ? 1 : 0)
                : Enumerable.Range(0, length).Sum(k => (k % 2 == 0 ? 1 : -1) * Math.Pow(k, row - length / 2) * h[k]);
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
