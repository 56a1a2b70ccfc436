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
