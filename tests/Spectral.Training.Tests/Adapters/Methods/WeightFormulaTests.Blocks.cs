using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

public sealed partial class WeightFormulaTests
{
    private static IEnumerable<Case> Blocks()
    {
        yield return new("gralora", 8, 12, 4, [], layer => Change(layer, Gralora(layer, 2, layer.Scale)));
        yield return new(
            "gralora",
            6,
            9,
            6,
            new() { ["blocks"] = 3, ["hybrid-rank"] = 2 },
            layer =>
            {
                double scale = 5.0 / (6 + 2);
                Dense general =
                    layer.Matrix("gralora_B_general.weight", 6, 2) * layer.Matrix("gralora_A_general.weight", 2, 9);
                return Change(layer, Gralora(layer, 3, scale) + scale * general);
            }
        );
        yield return new(
            "block-lora",
            5,
            12,
            3,
            new() { ["blocks"] = 4 },
            layer =>
            {
                Dense a = layer.Matrix("block_A", 3, 3);
                Dense b = layer.Matrix("block_B", 5, 3);
                return Change(layer, layer.Scale * (b * Dense.Of(3, 12, (i, j) => a[i, j % 3])));
            }
        );
        yield return new(
            "qa-lora",
            5,
            12,
            3,
            new() { ["group-size"] = 4 },
            layer =>
            {
                // PEFT's variant: x is averaged over each group and multiplied by the number of groups.
                Dense a = layer.Matrix("qalora_A", 3, 3);
                Dense b = layer.Matrix("qalora_B", 5, 3);
                return Change(layer, layer.Scale * (b * Dense.Of(3, 12, (i, j) => a[i, j / 4] / 4 * 3)));
            }
        );
        foreach (int columns in new[] { 12, 10, 3 })
        {
            yield return new(
                "miss",
                7,
                columns,
                4,
                [],
                layer =>
                {
                    Dense block = layer.Matrix("miss_block", 4, 7);
                    return Change(layer, Dense.Of(7, layer.Columns, (i, j) => block[j % 4, i]));
                }
            );
        }

        yield return new(
            "miss",
            6,
            10,
            4,
            new() { ["variant"] = 1, ["mini-rank"] = 3 },
            layer =>
            {
                Dense block = layer.Matrix("miss_block", 4, 3);
                return Change(layer, Dense.Of(6, 10, (i, j) => block[j % 4, i % 3]));
            }
        );
        // Block (o, i) of the weight becomes W·(I + B_o) + B_o.
        yield return new(
            "miss",
            6,
            9,
            3,
            new() { ["variant"] = 2 },
            layer =>
            {
                double[] block = layer.Factors["miss_block"];
                double B(int row, int between, int column) => block[(row / 3 * 3 + between) * 3 + column % 3];
                return Change(
                    layer,
                    Dense.Of(
                        6,
                        9,
                        (i, j) =>
                            B(i, i % 3, j) + Enumerable.Range(0, 3).Sum(k => layer.W[i, j / 3 * 3 + k] * B(i, k, j))
                    )
                );
            }
        );
        yield return new("lokr", 12, 30, 1, [], layer => Lokr(layer, 3, 4, 5, 6, "lokr_w1", null));
        yield return new("lokr", 12, 30, 8, [], layer => Lokr(layer, 3, 4, 5, 6, "lokr_w1", "lokr_w2"));
        yield return new(
            "lokr",
            12,
            30,
            2,
            new() { ["factor"] = 6, ["decompose-both"] = 1 },
            layer => Lokr(layer, 6, 2, 6, 5, null, null)
        );
        yield return new(
            "c3a",
            8,
            12,
            1,
            [],
            layer =>
            {
                double[] kernel = layer.Factors["c3a_kernel"];
                return Change(
                    layer,
                    Dense.Of(8, 12, (i, j) => kernel[(i / 4 * 3 + j / 4) * 4 + (j % 4 - i % 4 + 4) % 4] / 12)
                );
            }
        );
    }

    /// <summary>
    /// Token by token: each input block's projection, its pieces handed to the output blocks, theirs multiplied out.
    /// </summary>
    private static Dense Gralora(Layer layer, int k, double scale)
    {
        int rank = layer.Rank;
        int piece = rank / k;
        int wide = layer.Columns / k;
        int tall = layer.Rows / k;
        double[] a = layer.Factors["gralora_A"];
        double[] b = layer.Factors["gralora_B"];
        return Dense.Of(
            layer.Rows,
            layer.Columns,
            (i, j) =>
            {
                (int outBlock, int inBlock, double sum) = (i / tall, j / wide, 0.0);
                for (int q = 0; q < piece; q++)
                {
                    sum +=
                        b[(outBlock * rank + inBlock * piece + q) * tall + i % tall]
                        * a[(inBlock * wide + j % wide) * rank + outBlock * piece + q];
                }

                return scale * sum;
            }
        );
    }

    private static double[] Lokr(Layer layer, int tall, int high, int wide, int broad, string? first, string? second)
    {
        Dense one = first is null
            ? layer.Matrix("lokr_w1_a", tall, layer.Rank) * layer.Matrix("lokr_w1_b", layer.Rank, wide)
            : layer.Matrix(first, tall, wide);
        Dense two = second is null
            ? layer.Matrix("lokr_w2_a", high, layer.Rank) * layer.Matrix("lokr_w2_b", layer.Rank, broad)
            : layer.Matrix(second, high, broad);
        return Change(
            layer,
            Dense.Of(
                layer.Rows,
                layer.Columns,
                (i, j) => layer.Scale * one[i / high, j / broad] * two[i % high, j % broad]
            )
        );
    }
}
