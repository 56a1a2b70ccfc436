using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

public sealed partial class WeightFormulaTests
{
    /// <summary>Methods of lengths, scales and entrywise products.</summary>
    private static IEnumerable<Case> Scalings()
    {
        yield return new("dora", 5, 7, 2, new() { ["norm"] = 1 }, layer => Magnitudes(layer, Lora(layer)));
        yield return new(
            "edora",
            6,
            7,
            2,
            new() { ["norm"] = 1 },
            layer =>
                Magnitudes(
                    layer,
                    layer.Scale
                        * (
                            layer.Matrix("lora_B.weight", 6, 2)
                            * layer.Matrix("lora_latent", 2, 2)
                            * layer.Matrix("lora_A.weight", 2, 7)
                        )
                )
        );
        yield return new(
            "map",
            5,
            7,
            2,
            [],
            layer =>
            {
                Dense product = layer.Matrix("lora_B.weight", 5, 2) * layer.Matrix("lora_A.weight", 2, 7);
                double Length(Dense matrix) => Math.Sqrt(matrix.Values.Sum(value => value * value));
                return (
                    layer.Factors["map_alpha"][0] / Length(layer.W) * layer.W
                    + layer.Factors["map_beta"][0] / Length(product) * product
                ).Values;
            }
        );
        yield return new("ia3", 5, 7, 1, [], layer => (Dense.Diagonal(layer.Factors["ia3_l"]) * layer.W).Values);
        yield return new(
            "ssf",
            5,
            7,
            1,
            [],
            layer =>
                Dense
                    .Of(5, 7, (i, j) => layer.Factors["ssf_scale"][i] * layer.W[i, j] + layer.Factors["ssf_shift"][i])
                    .Values
        ); // seen through unit inputs, one at a time
        yield return new(
            "bitfit",
            5,
            7,
            1,
            [],
            layer => Dense.Of(5, 7, (i, j) => layer.W[i, j] + layer.Factors["bitfit_delta"][i]).Values
        );
        yield return new(
            "beft",
            5,
            7,
            1,
            [],
            layer => Dense.Of(5, 7, (i, j) => layer.W[i, j] + layer.Bias[i] + layer.Factors["beft_bias"][i]).Values
        )
        {
            HasBias = true,
        };
        yield return Masked("shira", 5, 7, 2, "shira_indices", "shira_weight");
        yield return Masked("lift", 5, 7, 2);
        yield return Masked("lift", 7, 5, 1, settings: new() { ["filter-rank"] = 2, ["interval"] = 0 });
        yield return new("prolip", 5, 7, 1, [], layer => (layer.W + layer.Matrix("delta", 5, 7)).Values);
        yield return new("delta", 5, 7, 1, [], layer => (layer.W + layer.Matrix("delta", 5, 7)).Values);
        yield return new("ssl", 5, 7, 1, [], layer => (layer.W * Dense.Diagonal(layer.Factors["ssl_input"])).Values);
        yield return new(
            "ssb",
            5,
            7,
            1,
            [],
            layer =>
                (
                    Dense.Diagonal(layer.Factors["ssb_output"]) * layer.W * Dense.Diagonal(layer.Factors["ssb_input"])
                ).Values
        );
        yield return new("liera", 5, 7, 2, [], layer => Entrywise(layer, Lora(layer), change => 1 + change));
        yield return new("liera", 5, 7, 2, new() { ["form"] = 1 }, layer => Entrywise(layer, Lora(layer), Math.Exp));
        yield return new(
            "hira",
            5,
            7,
            2,
            [],
            layer => Entrywise(layer, layer.Matrix("hira_B", 5, 2) * layer.Matrix("hira_A", 2, 7), change => 1 + change)
        );
        foreach (int rank in new[] { 2, 9 }) // as a core, and beyond what one is worth
        {
            yield return new(
                "loha",
                5,
                7,
                rank,
                [],
                layer =>
                    Change(
                        layer,
                        layer.Scale
                            * Dense.Of(
                                5,
                                7,
                                (i, j) =>
                                    (layer.Matrix("hada_w1_a", 5, rank) * layer.Matrix("hada_w1_b", rank, 7))[i, j]
                                    * (layer.Matrix("hada_w2_a", 5, rank) * layer.Matrix("hada_w2_b", rank, 7))[i, j]
                            )
                    )
            );
        }
    }

    private static double[] Magnitudes(Layer layer, Dense change)
    {
        (Dense changed, double[] m) = (layer.W + change, layer.Factors["lora_magnitude_vector"]);
        return Dense
            .Of(
                layer.Rows,
                layer.Columns,
                (i, j) =>
                    m[i]
                    * changed[i, j]
                    / Math.Sqrt(Enumerable.Range(0, layer.Columns).Sum(k => changed[i, k] * changed[i, k]))
            )
            .Values;
    }

    private static double[] Entrywise(Layer layer, Dense change, Func<double, double> factor) =>
        Dense.Of(layer.Rows, layer.Columns, (i, j) => layer.W[i, j] * factor(change[i, j])).Values;

    /// <summary>A method whose weight is W with the values added at the places.</summary>
    private static Case Masked(
        string method,
        int rows,
        int columns,
        int rank,
        string places = "mask_indices",
        string values = "mask_values",
        Dictionary<string, double>? settings = null
    ) =>
        new(
            method,
            rows,
            columns,
            rank,
            settings ?? [],
            layer =>
            {
                double[] sum = [.. layer.BaseWeight];
                foreach ((double place, double value) in layer.Factors[places].Zip(layer.Factors[values]))
                    sum[(int)place] += value;
                return sum;
            }
        );
}
