using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

public sealed partial class WeightFormulaTests
{
    /// <summary>Methods of two factors and what stands between or before them.</summary>
    private static IEnumerable<Case> Products()
    {
        yield return new("lora", 5, 7, 3, [], layer => Change(layer, Lora(layer)));
        foreach (string method in new[] { "pissa", "milora", "olora" })
        {
            yield return new(
                method,
                5,
                7,
                3,
                [],
                layer =>
                    Change(
                        layer,
                        Lora(layer)
                            - layer.Scale
                                * (
                                    layer.Matrix("lora_B.weight.start", 5, 3)
                                    * layer.Matrix("lora_A.weight.start", 3, 7)
                                )
                    )
            );
        }

        yield return new("mica", 7, 5, 2, [], layer => Change(layer, Lora(layer)));
        yield return new("s2ft", 7, 5, 2, [], layer => Change(layer, Lora(layer)));
        yield return new("s2ft", 5, 7, 3, new() { ["side"] = 1 }, layer => Change(layer, Lora(layer)));
        yield return new(
            "mosa",
            5,
            7,
            3,
            [],
            layer =>
                Change(
                    layer,
                    layer.Matrix("lora_B.weight", 5, 3)
                        * Dense.Diagonal(layer.Factors["mosa_active"])
                        * layer.Matrix("lora_A.weight", 3, 7)
                )
        );
        yield return new(
            "speclora",
            6,
            5,
            2,
            [],
            layer =>
            {
                double[] sigma = layer.Factors["spec_S"];
                double[] delta = layer.Factors["spec_delta"];
                Dense rescaled =
                    layer.Matrix("spec_U", 6, 2)
                    * Dense.Diagonal([.. sigma.Zip(delta, (s, d) => s * d)])
                    * layer.Matrix("spec_V", 2, 5);
                return Change(layer, rescaled + Lora(layer));
            }
        );
        yield return new(
            "svfit",
            5,
            7,
            3,
            [],
            layer =>
                Change(
                    layer,
                    layer.Matrix("svfit_U", 5, 3)
                        * Dense.Diagonal(layer.Factors["svfit_delta"])
                        * layer.Matrix("svfit_V", 3, 7)
                )
        );
        yield return new(
            "svdiff",
            5,
            4,
            1,
            [],
            layer =>
            {
                double[] values = layer
                    .Factors["svdiff_S"]
                    .Zip(layer.Factors["svdiff_delta"], (s, d) => Math.Max(s + d, 0))
                    .ToArray();
                return (
                    layer.Matrix("svdiff_U", 5, 4) * Dense.Diagonal(values) * layer.Matrix("svdiff_V", 4, 4)
                ).Values;
            }
        );
        foreach ((int step, int[] nested) in new[] { (0, new[] { 1, 2, 4, 5 }), (2, [2, 4, 5]), (7, [5]) })
        {
            yield return new(
                "matryoshka",
                5,
                7,
                5,
                new() { ["rank-step"] = step },
                layer =>
                    Change(
                        layer,
                        layer.Matrix("lora_B.weight", 5, 5)
                            * Dense.Diagonal([
                                .. Enumerable
                                    .Range(0, 5)
                                    .Select(i => nested.Where(rank => rank > i).Sum(rank => 5.0 / rank)),
                            ])
                            * layer.Matrix("lora_A.weight", 5, 7)
                    )
            );
        }

        yield return new(
            "sam-parser",
            5,
            4,
            1,
            [],
            layer =>
                Change(
                    layer,
                    layer.Matrix("sam_parser_U", 5, 4)
                        * Dense.Diagonal(layer.Factors["sam_parser_delta"])
                        * layer.Matrix("sam_parser_V", 4, 4)
                )
        );
        yield return new(
            "lambda-orthogonal",
            5,
            7,
            1,
            [],
            layer => ((Dense.Identity(5) + layer.Matrix("orthogonal_K", 5, 5)) * layer.W).Values
        );
        yield return new(
            "lora-xs",
            6,
            7,
            3,
            [],
            layer =>
                Change(
                    layer,
                    layer.Scale
                        * (
                            layer.Matrix("lora_B.weight", 6, 3)
                            * layer.Matrix("lora_latent", 3, 3)
                            * layer.Matrix("lora_A.weight", 3, 7)
                        )
                )
        );
        yield return new(
            "moslora",
            6,
            7,
            3,
            [],
            layer =>
                Change(
                    layer,
                    layer.Scale
                        * (
                            layer.Matrix("lora_B.weight", 6, 3)
                            * layer.Matrix("lora_mixer", 3, 3)
                            * layer.Matrix("lora_A.weight", 3, 7)
                        )
                )
        );
        yield return new(
            "flora",
            6,
            7,
            3,
            [],
            layer =>
                Change(
                    layer,
                    5.0
                        / 3
                        * (
                            layer.Matrix("flora_B", 6, 3)
                            * layer.Matrix("flora_core", 3, 3)
                            * layer.Matrix("flora_A", 3, 7)
                        )
                )
        );
        yield return new(
            "flora",
            6,
            7,
            3,
            new() { ["scale"] = 2.5 },
            layer =>
                Change(
                    layer,
                    2.5
                        * (
                            layer.Matrix("flora_B", 6, 3)
                            * layer.Matrix("flora_core", 3, 3)
                            * layer.Matrix("flora_A", 3, 7)
                        )
                )
        );
        yield return new(
            "linchain",
            6,
            7,
            2,
            new() { ["depth"] = 3 },
            layer =>
            {
                Dense Link(int i) => layer.Matrix($"lora_chain_{i}", 2, 2) + Dense.Identity(2);
                return Change(
                    layer,
                    layer.Scale
                        * (
                            layer.Matrix("lora_B.weight", 6, 2)
                            * Link(3)
                            * Link(2)
                            * Link(1)
                            * layer.Matrix("lora_A.weight", 2, 7)
                        )
                );
            }
        );
        yield return new(
            "trilora",
            6,
            7,
            2,
            [],
            layer =>
                Change(
                    layer,
                    layer.Matrix("lora_B.weight", 6, 2)
                        * Dense.Diagonal(layer.Factors["lora_E"])
                        * layer.Matrix("lora_A.weight", 2, 7)
                )
        );
        yield return new(
            "taps",
            5,
            7,
            3,
            // Without gates, as a straight-through gradient is not that of the differences.
            new() { ["gate-threshold"] = 0 },
            layer => Change(layer, layer.Factors["taps_p"][0] * Lora(layer))
        );
        yield return new(
            "triadapt",
            6,
            7,
            4,
            new() { ["begin-rank"] = 3 },
            layer =>
            {
                Dense left = layer.Matrix("lora_B.weight", 6, 4);
                Dense right = layer.Matrix("lora_A.weight", 4, 7);
                return Change(
                    layer,
                    layer.Scale
                        * (
                            Dense.Of(6, 4, (i, j) => i >= j && j < 3 ? left[i, j] : 0)
                            * Dense.Of(4, 7, (i, j) => j >= i ? right[i, j] : 0)
                        )
                );
            }
        );
        yield return new(
            "vera",
            6,
            7,
            3,
            [],
            layer =>
                Change(
                    layer,
                    Dense.Diagonal(layer.Factors["vera_lambda_b"])
                        * layer.Matrix("vera_B", 6, 3)
                        * Dense.Diagonal(layer.Factors["vera_lambda_d"])
                        * layer.Matrix("vera_A", 3, 7)
                )
        );
        foreach ((int rows, int columns) in new[] { (7, 5), (5, 8) })
        {
            yield return new("randlora", rows, columns, 2, [], Randlora);
            yield return new("randlora", rows, columns, 2, new() { ["pairing"] = 1 }, RandloraOfThePaper);
        }

        yield return new("delora", 5, 7, 3, new() { ["lambda"] = 4 }, Delora);
        yield return new(
            "hydra",
            5,
            7,
            2,
            [],
            layer =>
                Change(
                    layer,
                    Lora(layer)
                        + layer.Scale
                            * (layer.Matrix("hydra_B.weight", 5, 2) * layer.Matrix("hydra_A.weight", 2, 5) * layer.W)
                )
        );
        yield return new(
            "spectral-adapter",
            6,
            7,
            2,
            [],
            layer =>
            {
                (Dense u, Dense v, Dense sigma) = (
                    layer.Matrix("spectral_U", 6, 2),
                    layer.Matrix("spectral_V", 2, 7),
                    Dense.Diagonal(layer.Factors["spectral_S"])
                );
                return Change(
                    layer,
                    layer.Scale
                        * (
                            (u + layer.Matrix("spectral_E_U", 6, 2)) * sigma * (v + layer.Matrix("spectral_E_V", 2, 7))
                            - u * sigma * v
                        )
                );
            }
        );
        yield return new(
            "qr-lora",
            6,
            7,
            3,
            [],
            layer =>
                Change(
                    layer,
                    layer.Matrix("qr_Q", 6, 3) * Dense.Diagonal(layer.Factors["qr_lambda"]) * layer.Matrix("qr_R", 3, 7)
                )
        );
        yield return new(
            "loldu",
            6,
            7,
            3,
            [],
            layer =>
            {
                double kappa = layer.Factors["loldu_kappa"][0];
                double[] strength = layer
                    .Factors["loldu_z"]
                    .Zip(layer.Factors["loldu_start"], (z, start) => kappa * z - start)
                    .ToArray();
                return Change(
                    layer,
                    layer.Matrix("loldu_L", 6, 3) * Dense.Diagonal(strength) * layer.Matrix("loldu_U", 3, 7)
                );
            }
        );
    }

    private static Dense Lora(Layer layer) =>
        layer.Scale
        * (
            layer.Matrix("lora_B.weight", layer.Rows, layer.Rank)
            * layer.Matrix("lora_A.weight", layer.Rank, layer.Columns)
        );

    /// <summary>
    /// Element by element, with the pairing of the published code: row i of the small side has basis i mod n, column i
    /// of the large side basis i div r.
    /// </summary>
    private static double[] Randlora(Layer layer)
    {
        int r = layer.Rank;
        int small = Math.Min(layer.Rows, layer.Columns);
        int large = Math.Max(layer.Rows, layer.Columns);
        int n = (small + r - 1) / r;
        double[] a = layer.Factors["randlora_A"];
        double[] b = layer.Factors["randlora_B"];
        double[] lambda = layer.Factors["randlora_lambda"];
        double[] gamma = layer.Factors["randlora_gamma"];
        var change = Dense.Of(
            large,
            small,
            (row, column) =>
                Enumerable
                    .Range(0, r * n)
                    .Sum(i =>
                        b[row * n * r + i] * lambda[i] * a[i / n * small + column] * gamma[i % n * small + column]
                    )
        );
        return Change(layer, layer.Scale * (layer.Columns <= layer.Rows ? change : change.Transposed));
    }

    /// <summary>Σ_j B_j·diag(lambda_j)·A·diag(gamma_j), by matrices.</summary>
    private static double[] RandloraOfThePaper(Layer layer)
    {
        int r = layer.Rank;
        int small = Math.Min(layer.Rows, layer.Columns);
        int large = Math.Max(layer.Rows, layer.Columns);
        int n = (small + r - 1) / r;
        var change = new Dense(large, small);
        for (int basis = 0; basis < n; basis++)
        {
            int j = basis;
            change +=
                Dense.Of(large, r, (row, k) => layer.Factors["randlora_B"][(row * n + j) * r + k])
                * Dense.Diagonal([.. Enumerable.Range(0, r).Select(k => layer.Factors["randlora_lambda"][k * n + j])])
                * layer.Matrix("randlora_A", r, small)
                * Dense.Diagonal(layer.Factors["randlora_gamma"][(j * small)..((j + 1) * small)]);
        }

        return Change(layer, layer.Scale * (layer.Columns <= layer.Rows ? change : change.Transposed));
    }

    private static double[] Delora(Layer layer)
    {
        Dense b = layer.Matrix("delora_B", 5, 3);
        Dense a = layer.Matrix("delora_A", 3, 7);
        double lambda = layer.Factors["delora_lambda"][0];
        return Change(
            layer,
            Dense.Of(
                5,
                7,
                (i, j) =>
                {
                    double length = Math.Sqrt(Enumerable.Range(0, 5).Sum(row => layer.W[row, j] * layer.W[row, j]));
                    return Enumerable
                        .Range(0, 3)
                        .Sum(k =>
                            b[i, k]
                            * a[k, j]
                            * length
                            * lambda
                            / (
                                3
                                * Math.Sqrt(Enumerable.Range(0, 5).Sum(row => b[row, k] * b[row, k]))
                                * Math.Sqrt(Enumerable.Range(0, 7).Sum(column => a[k, column] * a[k, column]))
                            )
                        );
                }
            )
        );
    }
}
