using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

public sealed partial class WeightFormulaTests
{
    /// <summary>Methods whose change is made of the weight and the bias themselves.</summary>
    private static IEnumerable<Case> Supports()
    {
        yield return new(
            "deft",
            5,
            7,
            3,
            [],
            layer =>
                Change(
                    layer,
                    layer.Matrix("deft_P", 5, 3)
                        * (layer.Scale * layer.Matrix("deft_R", 3, 7) - Rectified(layer).Transposed * layer.W)
                )
        );
        yield return new(
            "deft",
            5,
            7,
            3,
            [],
            layer =>
                Change(
                    layer,
                    layer.Matrix("deft_P", 5, 3)
                        * (layer.Matrix("deft_R", 3, 7) - Rectified(layer).Transposed * layer.W)
                )
        )
        {
            Alpha = 0,
        };
        yield return new(
            "deft",
            5,
            7,
            3,
            new() { ["para"] = 1 },
            layer => ((Dense.Identity(5) - layer.Matrix("deft_P", 5, 3) * Rectified(layer).Transposed) * layer.W).Values
        )
        {
            BeginsElsewhere = true,
        };
        foreach (int depth in new[] { 0, 1, 2 })
        {
            yield return new(
                "peanut",
                5,
                7,
                3,
                new() { ["depth"] = depth, ["scaling"] = 1.5 },
                layer => Peanut(layer, depth)
            );
        }

        for (int weights = 0; weights < 4; weights++)
        {
            for (int other = 0; other < 3; other++)
            {
                (int a, int c, int d) = (weights, other, (other + weights) % 3);
                if ((a, c, d) == (3, 2, 2))
                    continue;
                yield return new(
                    "glora",
                    5,
                    7,
                    2,
                    new()
                    {
                        ["config-a-b"] = a,
                        ["config-c"] = c,
                        ["config-d-e"] = d,
                    },
                    layer => Glora(layer, a, c, d)
                )
                {
                    HasBias = true,
                };
            }
        }

        yield return new("glora", 5, 7, 2, [], layer => Glora(layer, 0, 2, 2));
    }

    private static Dense Rectified(Layer layer) =>
        Dense.Of(5, 3, (i, j) => Math.Max(0, layer.Factors["deft_P"][i * 3 + j]));

    private static double[] Peanut(Layer layer, int depth)
    {
        var states = new List<Dense> { Relu(layer.Matrix("peanut_A.weight", 3, 5) * layer.W) };
        for (int i = 0; i < depth; i++)
            states.Add(Relu(layer.Matrix($"peanut_encoders.{i}.weight", 3, 3) * states[i]));
        Dense hidden = states[depth];
        for (int i = 0; i < depth; i++)
        {
            hidden = Relu(layer.Matrix($"peanut_decoders.{i}.weight", 3, 3) * hidden) + states[depth - 1 - i];
        }

        return Change(layer, 1.5 * (layer.Matrix("peanut_B.weight", 5, 3) * hidden));

        static Dense Relu(Dense x) => Dense.Of(x.Rows, x.Columns, (i, j) => Math.Max(0, x[i, j]));
    }

    /// <summary>W + W∘A + B, and in every column the bias b + b∘D + E + W·C.</summary>
    private static double[] Glora(Layer layer, int weights, int inputs, int biases)
    {
        Dense c = inputs switch
        {
            0 => layer.Matrix("glora_C.Xd", 7, 2) * layer.Matrix("glora_C.Xu", 2, 1),
            1 => layer.Matrix("glora_C.X", 7, 1),
            _ => new Dense(7, 1),
        };
        Dense read = layer.W * c;
        (Dense scaled, Dense added) = (Weights("A"), Weights("B"));
        return Dense
            .Of(
                5,
                7,
                (i, j) =>
                {
                    double bias =
                        layer.Bias.Length == 0 ? 0 : layer.Bias[i] * (1 + Biases("D", i)) + Biases("E", i) + read[i, 0];
                    return layer.W[i, j] * (1 + scaled[i, j]) + added[i, j] + bias;
                }
            )
            .Values;

        Dense Weights(string support) =>
            weights switch
            {
                0 => layer.Matrix($"glora_{support}.Xd", 5, 2) * layer.Matrix($"glora_{support}.Xu", 2, 7),
                1 => Dense.Of(5, 7, (i, _) => layer.Factors[$"glora_{support}.X"][i]),
                2 => Dense.Of(5, 7, (_, _) => layer.Factors[$"glora_{support}.X"][0]),
                _ => new Dense(5, 7),
            };

        double Biases(string support, int i) =>
            biases switch
            {
                0 => layer.Factors[$"glora_{support}.X"][0],
                1 => layer.Factors[$"glora_{support}.X"][i],
                _ => 0,
            };
    }
}
