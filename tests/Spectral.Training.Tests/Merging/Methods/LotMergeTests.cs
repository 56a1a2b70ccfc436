using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using static Spectral.Training.Tests.Merging.Methods.ElementwiseMergeTests;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>LOT merging, against the products of a model in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LotMergeTests(DeviceKind kind) : MergeTest(kind)
{
    private const double Delta = 1e-3;
    private const string First = "model.layers.0.self_attn.q_proj.weight";

    private static MergeOptions Options(double delta, params EncodedRecord[][] data) =>
        With(("delta", delta)) with
        {
            Data = data,
            Batch = 3,
        };

    [Test]
    public void EveryLinearWeightSolvesTheNormalEquations()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2, 0.4)];
        EncodedRecord[][] data = [Records(1), Records(2, count: 5)];
        Dictionary<string, double[]> result = Merge("lot", Options(Delta, data), inputs);
        Dictionary<string, double[]> origin = Values(Base);
        Dictionary<string, double[]>[] products = [.. inputs.Select((input, i) => Products(input, data[i]))];
        foreach (LinearSpec linear in ModelTensors.Linears(ModelConfig.Load(Base)))
        {
            double[][] changes = Changes(linear.Weight, inputs);
            double[] change = [.. result[linear.Weight].Select((value, i) => value - origin[linear.Weight][i])];
            double[][] own = [.. products.Select(product => product[linear.Name])];
            double[] total = Entries(own[0], i => own[0][i] + own[1][i]);
            int n = linear.Inputs;
            double trace = Enumerable.Range(0, n).Sum(i => total[(i * n) + i]);
            for (int i = 0; i < n; i++)
                total[(i * n) + i] += Delta * trace / n;
            double[] left = Times(change, total, n);
            double[] right = Entries(left, i => 0);
            for (int input = 0; input < 2; input++)
            {
                double[] part = Times(changes[input], own[input], n);
                right = Entries(right, i => right[i] + part[i]);
            }
            double largest = right.Max(Math.Abs);
            Compare(
                [.. left.Select(value => value / largest)],
                [.. right.Select(value => value / largest)],
                2e-5,
                linear.Name
            );
        }
    }

    [Test]
    public void NormsWeighByWhatTheyMultiplyAndTheRestIsTheMean()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2, 0.4)];
        EncodedRecord[][] data = [Records(1), Records(2, count: 5)];
        Dictionary<string, double[]> result = Merge("lot", Options(Delta, data), inputs);
        Dictionary<string, double[]>[] tuned = [.. inputs.Select(input => Values(input.Directory))];
        Dictionary<string, double[]>[] products = [.. inputs.Select((input, i) => Products(input, data[i]))];
        Dictionary<string, double[]> origin = Values(Base);
        foreach (string name in origin.Keys.Where(name => !name.EndsWith("proj.weight", StringComparison.Ordinal)))
        {
            string? reader = name switch
            {
                _ when name.EndsWith("input_layernorm.weight", StringComparison.Ordinal) => name.Replace(
                    "input_layernorm.weight",
                    "self_attn.k_proj",
                    StringComparison.Ordinal
                ),
                _ when name.EndsWith("post_attention_layernorm.weight", StringComparison.Ordinal) => name.Replace(
                    "post_attention_layernorm.weight",
                    "mlp.up_proj",
                    StringComparison.Ordinal
                ),
                _ => null,
            };
            int n = origin[name].Length;
            double[] expected = Entries(
                origin[name],
                j =>
                {
                    double[] squares =
                    [
                        .. inputs.Select(
                            (_, i) =>
                                reader is null ? 1 : products[i][reader][(j * n) + j] / Math.Pow(tuned[i][name][j], 2)
                        ),
                    ];
                    return squares.Select((square, i) => square * tuned[i][name][j]).Sum() / squares.Sum();
                }
            );
            Compare(result[name], expected, 2e-5, name);
        }
    }

    [Test]
    public void EqualProductsGiveTheMean()
    {
        MergeInput[] inputs = [new(Write("one", 0, 0)), new(Write("two", 0, 0))];
        Edit(inputs[0].Directory, First, (i, value) => value + (0.01f * (i % 7)));
        Edit(inputs[1].Directory, First, (i, value) => value - (0.02f * (i % 5)));
        EncodedRecord[] same = Records(1);
        double[][] changes = Changes(First, inputs);
        double[] theta = Values(Base)[First];
        Compare(
            Merge("lot", Options(1e-9, same, same), inputs)[First],
            Entries(theta, i => theta[i] + ((changes[0][i] + changes[1][i]) / 2)),
            1e-5,
            First
        );
    }

    [Test]
    public void AnAdapterIsAnExpertTooAndOtherLayersStay()
    {
        MergeInput[] inputs = [new(AdapterOf("lora", 3, 1, Folder.File("lora"))), Tuned(2)];
        MergeOptions options = Options(Delta, Records(1), Records(2)) with { Layers = [1] };
        Dictionary<string, double[]> result = Merge("lot", options, inputs);
        Assert.That(result[First], Is.EqualTo(Values(Base)[First]));
        Assert.That(result[Query], Is.Not.EqualTo(Values(Base)[Query]).And.All.Not.NaN);
    }

    [Test]
    public void MissingOrWrongDataIsNamed()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2)];
        Assert.Multiple(() =>
        {
            Refused(new MergeOptions(), "lot needs data of each input", "2 files of records", "0 are given");
            Refused(Options(Delta, Records(1)), "1 are given");
            Refused(Options(Delta, Records(1), []), "data 2 of 2 has no records");
        });

        void Refused(MergeOptions options, params string[] named)
        {
            InputException refusal = Assert.Throws<InputException>(() => Merge("lot", options, inputs))!;
            foreach (string name in named)
                Assert.That(refusal.Message, Does.Contain(name));
        }
    }

    [Test]
    public void AnExpertWhoseActivationsOverflowIsNamed()
    {
        MergeInput input = Tuned(1);
        Edit(input.Directory, "model.layers.0.mlp.up_proj.weight", (_, value) => value * 1e30f);
        Edit(input.Directory, "model.layers.0.mlp.gate_proj.weight", (_, value) => value * 1e30f);
        Assert.That(
            () => Merge("lot", Options(Delta, Records(1)), input),
            Throws.TypeOf<InputException>().With.Message.Contains(input.Directory).And.Message.Contains("not finite")
        );
    }

    /// <summary>XᵀX of each linear layer of an input on records, in double.</summary>
    private static Dictionary<string, double[]> Products(MergeInput input, EncodedRecord[] records)
    {
        Dictionary<string, double[]> products = [];
        ReferenceModel model = new(ModelConfig.Load(input.Directory), Values(input.Directory))
        {
            Observe = (name, x) =>
            {
                if (!products.TryGetValue(name, out double[]? product))
                    products[name] = product = new double[x.Length * x.Length];
                for (int i = 0; i < product.Length; i++)
                    product[i] += x[i / x.Length] * x[i % x.Length];
            },
        };
        foreach (EncodedRecord record in records)
            model.Logits(record.Tokens);
        return products;
    }

    private static double[] Times(double[] matrix, double[] square, int n)
    {
        double[] product = new double[matrix.Length];
        for (int i = 0; i < product.Length; i++)
        {
            for (int k = 0; k < n; k++)
                product[i] += matrix[(i / n * n) + k] * square[(k * n) + (i % n)];
        }
        return product;
    }
}
