using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using static Spectral.Training.Tests.Merging.Methods.ElementwiseMergeTests;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>aTLAS against gradients by differences and Adam, both in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AtlasMergeTests(DeviceKind kind) : MergeTest(kind)
{
    private const double Rate = 0.3;

    private static MergeOptions Options(int steps, params EncodedRecord[][] data) =>
        With(("steps", steps), ("lr", Rate)) with
        {
            Data = data,
            Batch = 64,
        };

    /// <summary>A small vocabulary, so that a test can run the model in double hundreds of times.</summary>
    private static JsonObject Small(bool tied)
    {
        JsonObject config = Config();
        (config["vocab_size"], config["num_hidden_layers"], config["tie_word_embeddings"]) = (11, 1, tied);
        return config;
    }

    [TestCase(false, 1, false)]
    [TestCase(true, 6, true)]
    public void ThreeStepsFollowTheGradientsOfEveryCoefficient(bool tied, double distance, bool clips)
    {
        Write("base", 0, 0, Small(tied));
        MergeInput[] inputs =
        [
            .. Enumerable.Range(1, 2).Select(i => new MergeInput(Write($"in{i}", i, distance, Small(tied)))),
        ];
        Follows(inputs, [.. Values(Base).Keys], clips);
    }

    /// <summary>Adapters of two methods and ranks, of which one has a layer that the other has not.</summary>
    [Test]
    public void LowRankExpertsFollowTheSameGradientsWithoutDenseOnes()
    {
        Write("base", 0, 0, Small(tied: true));
        MergeInput[] inputs =
        [
            new(AdapterOf("lora", 3, 1, Folder.File("lora"))),
            new(AdapterOf("lora-xs", 2, 2, Folder.File("xs"), ["q_proj", "k_proj", "up_proj"])),
        ];
        const string First = "model.layers.0.";
        string[] changed = [.. ((string[])["mlp.down", "mlp.up", "self_attn.k", "self_attn.q"]).Select(Weight)];
        Follows(inputs, changed, clips: false);
        // A pass over the model for each step. With a checkpoint there are two, to set weights and for the products.
        Assert.That(Passes(inputs), Is.EqualTo(3));
        Assert.That(Passes([.. inputs, new(Write("tuned", 3, 0.1, Small(tied: true)))]), Is.EqualTo(5));
        Assert.That(Passes(new MergeInput(AdapterOf("dora", 2, 3, Folder.File("dora")))), Is.EqualTo(5));

        string Weight(string layer) => $"{First}{layer}_proj.weight";
    }

    /// <summary>How often three steps read the tensors that are merged, beside writing the result.</summary>
    private int Passes(params MergeInput[] inputs)
    {
        Directory.CreateDirectory(Folder.File("passes"));
        using var model = ModelFolder.Open(Base);
        using var merge = ModelMerge.Open(
            model,
            MergeMethods.Find("atlas"),
            inputs,
            Options(3, [Records(1, 1)]),
            Device
        );
        List<MergeProgress> told = [];
        merge.Write(Folder.File("passes"), told.Add);
        string[] names = [.. told.Select(progress => progress.Tensor)];
        int written = model.TensorNames.Count();
        int merged = names[..^written].Distinct().Count();
        Assert.That(told[^1].Total, Is.EqualTo(told.Count));
        Assert.That((told.Count - written) % merged, Is.Zero);
        return (told.Count - written) / merged;
    }

    /// <summary>Merges in three steps, and compares with steps along gradients by differences.</summary>
    private void Follows(MergeInput[] inputs, string[] names, bool clips)
    {
        EncodedRecord[][] data = [Records(1, 4), Records(2, 3)];
        Dictionary<string, double[]> result = Merge("atlas", Options(3, data), inputs);
        Dictionary<string, double[]> theta = Values(Base);
        Dictionary<string, double[]>[] alone = [.. inputs.Select(input => Merge("linear", null, input))];
        Dictionary<string, double[][]> changes = names.ToDictionary(
            name => name,
            name => (double[][])[.. alone.Select(values => Entries(theta[name], i => values[name][i] - theta[name][i]))]
        );
        double[] lambda = new double[2 * names.Length];
        double[] first = new double[lambda.Length];
        double[] second = new double[lambda.Length];
        for (int step = 1; step <= 3; step++)
        {
            double[] slopes = CentralDifferences.Of(lambda, 1e-4, Loss);
            double norm = Math.Sqrt(slopes.Sum(slope => slope * slope));
            if (step == 1)
                Assert.That(norm > 1, Is.EqualTo(clips), "whether the first gradient is clipped");
            for (int i = 0; i < lambda.Length; i++)
            {
                double slope = slopes[i] / Math.Max(1, norm);
                first[i] = (0.9 * first[i]) + (0.1 * slope);
                second[i] = (0.999 * second[i]) + (0.001 * slope * slope);
                double scale = Math.Sqrt(second[i] / (1 - Math.Pow(0.999, step))) + 1e-8;
                lambda[i] -= Rate * first[i] / (1 - Math.Pow(0.9, step)) / scale;
            }
        }
        Dictionary<string, double[]> wanted = Merged();
        foreach (string name in theta.Keys)
            Compare(result[name], wanted[name], 1e-4, name);

        Dictionary<string, double[]> Merged()
        {
            Dictionary<string, double[]> merged = new(theta);
            for (int t = 0; t < names.Length; t++)
            {
                (double[] origin, double[][] change) = (theta[names[t]], changes[names[t]]);
                (double one, double two) = (lambda[2 * t], lambda[(2 * t) + 1]);
                merged[names[t]] = Entries(origin, i => origin[i] + (one * change[0][i]) + (two * change[1][i]));
            }
            return merged;
        }

        double Loss()
        {
            ReferenceModel model = new(ModelConfig.Load(Base), Merged());
            return data.Sum(records =>
                records.Sum(record => model.LossSum(Batch.Create([record]))) / records.Sum(record => record.LossTokens)
            );
        }
    }

    [Test]
    public void OfOneExpertOnWhatItSaysItselfTheCoefficientsApproachOne()
    {
        Write("base", 0, 0, Small(tied: false));
        MergeInput input = new(Write("tuned", 3, 2, Small(tied: false)));
        MergeOptions options = With(("steps", 60), ("lr", 0.05)) with { Data = [Said(input, 400)], Batch = 100 };
        Dictionary<string, double[]> result = Merge("atlas", options, input);
        Dictionary<string, double[]> theta = Values(Base);
        double[] kept =
        [
            .. theta.Keys.Select(name =>
            {
                double[] change = Changes(name, input)[0];
                double[] merged = Entries(change, i => result[name][i] - theta[name][i]);
                return Dot(merged, change) / Dot(change, change);
            }),
        ];
        Assert.That(kept.Average(), Is.EqualTo(1).Within(0.25));
    }

    [Test]
    public void WithoutStepsTheBaseStaysAndAdaptersAndLayersTakePart()
    {
        MergeInput[] inputs = [new(AdapterOf("lora", 3, 1, Folder.File("lora"))), Tuned(2)];
        Dictionary<string, double[]> theta = Values(Base);
        foreach ((string name, double[] values) in Merge("atlas", Options(0, Records(1)), inputs))
            Assert.That(values, Is.EqualTo(theta[name]), name);
        Dictionary<string, double[]> result = Merge("atlas", Options(1, Records(1)) with { Layers = [1] }, inputs);
        foreach ((string name, double[] values) in result)
        {
            if (!name.StartsWith("model.layers.1.", StringComparison.Ordinal))
                Assert.That(values, Is.EqualTo(theta[name]), $"{name}, outside of the layers");
        }

        double[][] changes = Changes(Query, inputs[1]);
        double[] moved = Entries(theta[Query], i => Math.Abs(result[Query][i] - theta[Query][i]));
        Assert.That(moved.Max(), Is.GreaterThan(0.1 * Rate * changes[0].Max(Math.Abs)));
    }

    [Test]
    public void MissingDataAndALossThatOverflowsAreNamed()
    {
        MergeInput input = Tuned(1);
        Assert.That(
            () => Merge("atlas", new MergeOptions(), input),
            Throws.TypeOf<InputException>().With.Message.Contains("atlas runs models on data")
        );
        Edit(Base, "model.layers.0.mlp.up_proj.weight", (_, value) => value * 1e30f);
        Edit(Base, "model.layers.0.mlp.gate_proj.weight", (_, value) => value * 1e30f);
        Assert.That(
            () => Merge("atlas", Options(1, Records(1)), new MergeInput(Base)),
            Throws.TypeOf<InputException>().With.Message.Contains("the loss of the merged model")
        );
    }

    /// <summary>Records whose tokens are drawn from the predictions of a model, after a random first one.</summary>
    private static EncodedRecord[] Said(MergeInput input, int count)
    {
        var config = ModelConfig.Load(input.Directory);
        ReferenceModel model = new(config, Values(input.Directory));
        Random random = new(9);
        return [.. Enumerable.Range(0, count).Select(_ => One())];

        EncodedRecord One()
        {
            List<int> tokens = [random.Next(config.VocabularySize)];
            while (tokens.Count < 6)
            {
                double[] logits = model.Logits([.. tokens])[^1];
                double[] odds = [.. logits.Select(logit => Math.Exp(logit - logits.Max()))];
                double drawn = random.NextDouble() * odds.Sum();
                int token = 0;
                while (token < odds.Length - 1 && (drawn -= odds[token]) > 0)
                    token++;
                tokens.Add(token);
            }
            return new EncodedRecord([.. tokens], 1, 1, false);
        }
    }
}
