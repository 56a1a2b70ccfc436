using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Numerics;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

public sealed partial class WeightFormulaTests
{
    private static IEnumerable<Case> Generated()
    {
        yield return new(
            "tinylora",
            7,
            9,
            3,
            new() { ["u"] = 5 },
            layer =>
            {
                double[] v = layer.Factors["tinylora_v.0"];
                var middle = new Dense(3, 3);
                for (int i = 0; i < v.Length; i++)
                    middle += v[i] * layer.Matrix("tinylora_P", 3, 3, i * 9);
                return Change(layer, layer.Matrix("tinylora_B", 7, 3) * middle * layer.Matrix("tinylora_A", 3, 9));
            }
        );
        yield return new(
            "nola",
            5,
            6,
            2,
            new()
            {
                ["basis-a"] = 4,
                ["basis-b"] = 3,
                ["basis-seed"] = 11,
            },
            layer =>
            {
                Dense a = Uniform(2, 6, "origin", 0, 1 / Math.Sqrt(6));
                for (int i = 0; i < 4; i++)
                    a += layer.Factors["nola_alpha"][i] * Uniform(2, 6, "A", i, 0.5);
                var b = new Dense(5, 2);
                for (int j = 0; j < 3; j++)
                    b += layer.Factors["nola_beta"][j] * Uniform(5, 2, "B", j, 1 / Math.Sqrt(3));
                return Change(layer, layer.Scale * (b * a));
            }
        );
        yield return new(
            "vb-lora",
            6,
            9,
            2,
            new()
            {
                ["num-vectors"] = 5,
                ["vector-length"] = 4,
                ["top-vectors"] = 2,
            },
            layer =>
            {
                // 3 is the largest length up to 4 that divides 6 and 9.
                double[] bank = layer.Factors["vblora_vector_bank"];
                double[] a = layer.Factors["vblora_logits_A"];
                double[] b = layer.Factors["vblora_logits_B"];
                var right = Dense.Of(2, 9, (i, j) => Mixed(a, (i * 3 + j / 3) * 5, j % 3));
                var left = Dense.Of(6, 2, (i, j) => Mixed(b, (i / 3 * 2 + j) * 5, i % 3));
                return Change(layer, left * right);

                double Mixed(double[] logits, int from, int element)
                {
                    int[] chosen = Enumerable
                        .Range(0, 5)
                        .OrderByDescending(vector => logits[from + vector])
                        .Take(2)
                        .ToArray();
                    double Weight(int vector) => Math.Exp(logits[from + vector]);
                    return chosen.Sum(vector => Weight(vector) * bank[vector * 3 + element]) / chosen.Sum(Weight);
                }
            }
        );
    }

    private static Dense Uniform(int rows, int columns, string tag, int number, double bound)
    {
        using var values = Tensor.Empty(Devices.Get(DeviceKind.Cpu), (rows, columns));
        Philox.Uniform(values, 11, RandomStream.For($"layer.nola_{tag}") + (ulong)number, (float)-bound, (float)bound);
        return Dense.Of(rows, columns, Array.ConvertAll(values.ToArray(), value => (double)value));
    }
}
