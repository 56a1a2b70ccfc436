using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

public sealed partial class WeightFormulaTests
{
    private static IEnumerable<Case> Rotations()
    {
        yield return new("psoft", 7, 9, 4, [], layer => Psoft(layer, s => Cayley(s).Transposed));
        yield return new(
            "psoft",
            7,
            9,
            4,
            new() { ["cayley-neumann"] = 1 },
            layer => Psoft(layer, s => Series(s, 1, 2, 2, 2, 1))
        );
        yield return new("hra", 7, 9, 4, [], Hra);
        yield return new("hra", 9, 5, 2, [], Hra);
        yield return new(
            "hra",
            7,
            9,
            3,
            new() { ["gram-schmidt"] = 1 },
            layer => Hra(layer, Orthonormal(layer.Matrix("hra_u", 9, 3)))
        )
        {
            BeginsElsewhere = true,
        };
        yield return new(
            "oft",
            7,
            12,
            1,
            new() { ["block-size"] = 4 },
            layer => Oft(layer, 4, false, s => Series(s, 1, 2, 2, 2, 1))
        );
        yield return new(
            "oft",
            7,
            12,
            1,
            new() { ["block-size"] = 4, ["cayley-neumann"] = 1 },
            layer => Oft(layer, 4, false, Cayley)
        );
        yield return new(
            "oft",
            7,
            12,
            1,
            new()
            {
                ["block-size"] = 5,
                ["block-share"] = 1,
                ["neumann-terms"] = 3,
            },
            layer => Oft(layer, 4, true, s => Series(s, 1, 2, 2, 1))
        );
        yield return new(
            "oft",
            7,
            12,
            1,
            new() { ["block-size"] = 4, ["former-series"] = 1 },
            layer => Oft(layer, 4, false, s => Series(s, 1, 2, 2, 2, 2))
        );
        yield return new(
            "oft",
            7,
            12,
            1,
            new()
            {
                ["block-size"] = 4,
                ["former-series"] = 1,
                ["neumann-terms"] = 3,
            },
            layer => Oft(layer, 4, false, s => Series(s, 1, 2, 2))
        );
        yield return new(
            "oft",
            7,
            12,
            1,
            new() { ["blocks"] = 3, ["cayley-neumann"] = 1 },
            layer => Oft(layer, 4, false, Cayley)
        );
        yield return new(
            "oft",
            7,
            12,
            1,
            new()
            {
                ["block-size"] = 4,
                ["coft"] = 1,
                ["eps"] = 0.8,
            },
            layer => Oft(layer, 4, false, s => Series(Shortened(s, 0.8 / Math.Sqrt(3)), 1, 2, 2, 2, 1))
        );
        yield return new("boft", 5, 12, 1, [], layer => Boft(layer, 4, 1));
        yield return new("boft", 5, 12, 1, new() { ["blocks"] = 2 }, layer => Boft(layer, 6, 1));
        yield return new(
            "boft",
            5,
            16,
            1,
            new() { ["block-size"] = 2, ["butterfly-factors"] = 4 },
            layer => Boft(layer, 2, 4)
        );
        yield return new(
            "boft",
            5,
            24,
            1,
            new() { ["block-size"] = 6, ["butterfly-factors"] = 3 },
            layer => Boft(layer, 6, 3)
        );
        yield return new(
            "road",
            12,
            5,
            1,
            new() { ["group-size"] = 4 },
            layer => Road(layer, 2, (output, _) => output / 4 * 2 + output % 2)
        );
        yield return new(
            "road",
            12,
            5,
            1,
            new() { ["group-size"] = 11, ["variant"] = 1 },
            layer => Road(layer, 3, (output, _) => output)
        );
        yield return new(
            "road",
            8,
            5,
            1,
            new() { ["group-size"] = 4, ["variant"] = 2 },
            layer => Road(layer, 2, (output, direction) => output / 4 * 8 + direction * 4 + output % 4)
        );
        yield return new(
            "spectral-adapter-rotational",
            7,
            9,
            4,
            [],
            layer =>
            {
                (Dense sigma, int k) = (Dense.Diagonal(layer.Factors["spectral_S"]), layer.Rank);
                Dense turned =
                    Cayley(Skew(layer.Factors["spectral_Q1"], k))
                    * sigma
                    * Cayley(Skew(layer.Factors["spectral_Q2"], k)).Transposed;
                return Change(
                    layer,
                    layer.Matrix("spectral_U", layer.Rows, k)
                        * (turned - sigma)
                        * layer.Matrix("spectral_V", k, layer.Columns)
                );
            }
        );
    }

    /// <summary>The rotation is (I + S)(I − S)⁻¹, which the other formula's transpose is (PEFT's OrthLayer).</summary>
    private static double[] Psoft(Layer layer, Func<Dense, Dense> rotation)
    {
        int k = layer.Rank;
        (Dense b, Dense a) = (Dense.Diagonal(layer.Factors["psoft_b"]), Dense.Diagonal(layer.Factors["psoft_a"]));
        Dense turned = b * rotation(Skew(layer.Factors["psoft_theta"], k)) * a;
        return Change(
            layer,
            layer.Matrix("psoft_B", layer.Rows, k)
                * (turned - Dense.Identity(k))
                * layer.Matrix("psoft_A", k, layer.Columns)
        );
    }

    /// <summary>One reflection after another, where the method has their compact WY form.</summary>
    private static double[] Hra(Layer layer) => Hra(layer, layer.Matrix("hra_u", layer.Columns, layer.Rank));

    private static double[] Hra(Layer layer, Dense u)
    {
        Dense weight = layer.W;
        for (int k = 0; k < layer.Rank; k++)
        {
            (double square, int column) = (0.0, k);
            for (int j = 0; j < layer.Columns; j++)
                square += u[j, k] * u[j, k];
            weight *= Dense.Of(
                layer.Columns,
                layer.Columns,
                (i, j) => (i == j ? 1 : 0) - 2 * u[i, column] * u[j, column] / square
            );
        }
        return weight.Values;
    }

    /// <summary>Columns of length 1, each made orthogonal to those before (PEFT's apply_GS).</summary>
    private static Dense Orthonormal(Dense u)
    {
        for (int k = 0; k < u.Columns; k++)
        {
            for (int before = 0; before < k; before++)
            {
                double dot = Enumerable.Range(0, u.Rows).Sum(i => u[i, before] * u[i, k]);
                for (int i = 0; i < u.Rows; i++)
                    u[i, k] -= dot * u[i, before];
            }
            double length = Math.Sqrt(Enumerable.Range(0, u.Rows).Sum(i => u[i, k] * u[i, k]));
            for (int i = 0; i < u.Rows; i++)
                u[i, k] /= length;
        }
        return u;
    }

    /// <summary>A matrix no longer than a bound (PEFT's coft).</summary>
    private static Dense Shortened(Dense s, double longest) =>
        Math.Min(1, longest / Math.Sqrt(s.Values.Sum(value => value * value))) * s;

    private static double[] Oft(Layer layer, int size, bool shared, Func<Dense, Dense> rotation)
    {
        int entries = size * (size - 1) / 2;
        IEnumerable<Dense> blocks = Enumerable
            .Range(0, layer.Columns / size)
            .Select(block => rotation(Skew(layer.Factors["oft_R.weight"].AsSpan(shared ? 0 : block * entries), size)));
        return (layer.W * BlockDiagonal([.. blocks]).Transposed).Values;
    }

    /// <summary>
    /// Each output by itself; <paramref name="at"/> finds its angle and length, along itself (0) or its partner (1).
    /// </summary>
    private static double[] Road(Layer layer, int half, Func<int, int, int> at)
    {
        double[] theta = layer.Factors["road_theta"];
        double[] alpha = layer.Factors["road_alpha"];
        Dense w = layer.W;
        return Dense
            .Of(
                layer.Rows,
                layer.Columns,
                (i, j) =>
                {
                    bool first = i / half % 2 == 0;
                    double partner = first ? -w[i + half, j] : w[i - half, j];
                    return alpha[at(i, 0)] * Math.Cos(theta[at(i, 0)]) * w[i, j]
                        + alpha[at(i, 1)] * Math.Sin(theta[at(i, 1)]) * partner;
                }
            )
            .Values;
    }

    /// <summary>With the permutations as matrices: P e_idx[i] = e_i, idx the butterfly order of half blocks.</summary>
    private static double[] Boft(Layer layer, int size, int factors)
    {
        (int count, Dense rotation) = (layer.Columns / size, Dense.Identity(layer.Columns));
        for (int factor = 0; factor < factors; factor++)
        {
            IEnumerable<Dense> blocks = Enumerable
                .Range(0, count)
                .Select(block =>
                {
                    Dense a = layer.Matrix("boft_R", size, size, (factor * count + block) * size * size);
                    return Cayley(0.5 * (a - a.Transposed));
                });
            (int half, int run) = (Math.Max(1, size / 2), size << factor);
            var order = new List<int>();
            for (int start = 0; start < layer.Columns; start += run)
            {
                foreach (int parity in new[] { 0, 1 })
                {
                    for (int unit = parity; unit < run / half; unit += 2)
                        order.AddRange(Enumerable.Range(start + unit * half, half));
                }
            }

            var permutation = Dense.Of(layer.Columns, layer.Columns, (i, j) => order[i] == j ? 1 : 0);
            rotation = permutation * BlockDiagonal([.. blocks]) * permutation.Transposed * rotation;
        }
        return (Dense.Diagonal(layer.Factors["boft_s"]) * layer.W * rotation.Transposed).Values;
    }
}
