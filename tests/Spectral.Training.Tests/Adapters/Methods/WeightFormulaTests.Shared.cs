using Spectral.Training.Numerics;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

public sealed partial class WeightFormulaTests
{
    /// <summary>Methods of Kronecker products, and of factors that layers share.</summary>
    private static IEnumerable<Case> Shared()
    {
        yield return new("soka", 6, 10, 3, [], layer => Soka(layer, 2, 2, 3, 5));
        yield return new("soka", 6, 8, 2, new() { ["factor"] = 3 }, layer => Soka(layer, 3, 2, 2, 4));
        foreach (int rank in new[] { 1, 2 })
        {
            yield return new(
                "kadaptation",
                6,
                9,
                rank,
                new() { ["blocks"] = 4 },
                layer =>
                {
                    // 3 is the largest number up to 4 that divides 6 and 9.
                    var change = new Dense(6, 9);
                    for (int j = 0; j < rank; j++)
                    {
                        for (int i = 0; i < 3; i++)
                        {
                            int direction = j * 3 + i;
                            change += Kron(
                                layer.Matrix("kadaptation_A", 3, 3, i * 9),
                                layer.Matrix("kadaptation_U", 2, 1, direction * 2)
                                    * layer.Matrix("kadaptation_V", 1, 3, direction * 3)
                            );
                        }
                    }

                    return Change(layer, layer.Scale * change);
                }
            );
        }

        yield return new(
            "polyhistor",
            6,
            9,
            2,
            new() { ["template-width"] = 5, ["task-size"] = 4 },
            layer =>
            {
                // 3 is the largest width up to 5 that divides 6 and 9.
                Dense task = layer.Matrix("polyhistor_task", 1, 4);
                var templateA = Dense.Of(2, 3, (task * layer.Matrix("polyhistor_A", 4, 6)).Values);
                var templateB = Dense.Of(3, 2, (task * layer.Matrix("polyhistor_B", 4, 6)).Values);
                return Change(
                    layer,
                    layer.Scale
                        * (
                            Kron(layer.Matrix("polyhistor_kernel_B", 2, 1), templateB)
                            * Kron(layer.Matrix("polyhistor_kernel_A", 1, 3), templateA)
                        )
                );
            }
        );
        // default_rng(42) brings 0 … 9 into this order, as NumPy's users print it; with five numbers each stands twice.
        int[] order = [5, 6, 0, 7, 3, 2, 4, 9, 1, 8];
        foreach (int times in new[] { 1, 2 })
        {
            yield return new(
                "unilora",
                4,
                6,
                1,
                new() { ["length"] = 10 / times },
                layer =>
                {
                    double[] entries =
                    [
                        .. order.Select(place => layer.Factors["unilora_theta_d"][place / times] / Math.Sqrt(times)),
                    ];
                    return Change(layer, Dense.Of(4, 1, entries.AsSpan(6)) * Dense.Of(1, 6, entries.AsSpan(0)));
                }
            );
        }

        yield return new("map(lora)", 5, 7, 3, [], layer => Mapped(layer, Lora(layer)));
        yield return new(
            "map(vera)",
            6,
            7,
            3,
            [],
            layer =>
                Mapped(
                    layer,
                    Dense.Diagonal(layer.Factors["vera_lambda_b"])
                        * layer.Matrix("vera_B", 6, 3)
                        * Dense.Diagonal(layer.Factors["vera_lambda_d"])
                        * layer.Matrix("vera_A", 3, 7)
                )
        );
        yield return new(
            "map(hydra)",
            5,
            7,
            2,
            [],
            layer =>
                Mapped(
                    layer,
                    Lora(layer)
                        + layer.Scale
                            * (layer.Matrix("hydra_B.weight", 5, 2) * layer.Matrix("hydra_A.weight", 2, 5) * layer.W)
                )
        );
        yield return new(
            "flexlora",
            5,
            7,
            2,
            new() { ["most"] = 1.5 },
            layer =>
                Change(
                    layer,
                    layer.Scale
                        * (
                            layer.Matrix("lora_B", 5, 3)
                            * Dense.Diagonal([layer.Factors["lora_E"][0], layer.Factors["lora_E"][1], 0])
                            * layer.Matrix("lora_A", 3, 7)
                        )
                )
        );
        yield return new(
            "relaxed-recursive",
            5,
            7,
            3,
            [],
            layer => (layer.Matrix("recursive_W.layer", 5, 7) + Lora(layer)).Values
        )
        {
            BeginsElsewhere = true,
        };
        yield return new(
            "adamss",
            8,
            7,
            5,
            new() { ["subspaces"] = 3, ["subspace-rank"] = 2 },
            layer =>
            {
                Dense groups = layer.Matrix("adamss_groups", 8, 3);
                Dense b = layer.Matrix("adamss_B", 8, 2);
                var left = new Dense(8, 5);
                for (int i = 0; i < 8; i++)
                {
                    int c = Enumerable.Range(0, 3).Single(c => groups[i, c] == 1);
                    Dense own = Dense.Of(1, 2, (_, j) => b[i, j]) * layer.Matrix("adamss_A", 2, 5, c * 10);
                    for (int j = 0; j < 5; j++)
                        left[i, j] = own[0, j];
                }

                return Change(layer, left * layer.Matrix("adamss_V", 5, 7));
            }
        );
        foreach ((int rank, int equal, int own) in new[] { (4, 2, 1), (3, 3, 3), (5, 2, 0) })
        {
            yield return new(
                "mos",
                6,
                9,
                rank,
                new()
                {
                    ["shards"] = 4,
                    ["equivalent-rank"] = equal,
                    ["private-rank"] = own,
                    ["index-seed"] = 5,
                },
                layer => Mos(layer, equal, own)
            );
        }
    }

    /// <summary>alpha·W/‖W‖ + beta·ΔW/‖ΔW‖.</summary>
    private static double[] Mapped(Layer layer, Dense change)
    {
        double length = Math.Sqrt(change.Values.Sum(value => value * value));
        return (
            layer.Factors["map_alpha"][0] / layer.Factors["map_w_norm"][0] * layer.W
            + layer.Factors["map_beta"][0] / length * change
        ).Values;
    }

    /// <summary>A ⊗ B, element by element.</summary>
    private static Dense Kron(Dense a, Dense b) =>
        Dense.Of(
            a.Rows * b.Rows,
            a.Columns * b.Columns,
            (i, j) => a[i / b.Rows, j / b.Columns] * b[i % b.Rows, j % b.Columns]
        );

    private static double[] Soka(Layer layer, int tall, int wide, int high, int broad)
    {
        int r = layer.Rank;
        var change = new Dense(layer.Rows, layer.Columns);
        for (int k = 0; k < r; k++)
            change += Product("", k) - Product(".start", k);
        return Change(layer, layer.Scale * change);

        Dense Product(string suffix, int k) =>
            Kron(
                Dense.Of(tall, wide, (i, j) => layer.Factors["soka_A" + suffix][(i * wide + j) * r + k]),
                layer.Matrix("soka_B" + suffix, high, broad, k * high * broad)
            );
    }

    /// <summary>Rows of 3 shards; the pool of one layer has those of the rank that trains as many numbers.</summary>
    private static double[] Mos(Layer layer, int equal, int own)
    {
        int rank = layer.Rank;
        (Dense a, Dense b) = (Rows("A", 9), Rows("B", 6));
        return Change(layer, layer.Scale * (b.Transposed * a));

        Dense Rows(string factor, int length)
        {
            (int width, int pooled) = (length / 3, (equal - own) * 3);
            int[] order =
            [
                .. Enumerable
                    .Range(0, pooled == 0 ? 0 : ((rank - own) * 3 + pooled - 1) / pooled)
                    .SelectMany(round =>
                        TorchPermutation.First(pooled, pooled, (uint)RandomStream.For($"layer.mos_{factor}.5.{round}"))
                    ),
            ];
            return Dense.Of(
                rank,
                length,
                (row, column) =>
                {
                    int slot = row * 3 + column / width;
                    return row < rank - own
                        ? layer.Factors[$"mos_pool_{factor}.{length}"][order[slot] * width + column % width]
                        : layer.Factors[$"mos_{factor}"][(slot - (rank - own) * 3) * width + column % width];
                }
            );
        }
    }
}
