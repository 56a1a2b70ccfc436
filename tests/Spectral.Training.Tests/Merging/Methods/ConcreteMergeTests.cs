using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using static Spectral.Training.Tests.Merging.Methods.ElementwiseMergeTests;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>Concrete subspace merging: masks, their gradient, and the entropy that they are learned from.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ConcreteMergeTests(DeviceKind kind) : MergeTest(kind)
{
    private static MergeOptions Options(int steps, double rate, params EncodedRecord[][] data) =>
        With(("steps", steps), ("lr", rate), ("lambda", 0.7)) with
        {
            Data = data,
            Batch = 16,
        };

    [Test]
    public void AMaskHasMeanOneAndItsGradientIsThatOfDifferences()
    {
        const double Temperature = 0.5;
        const int Count = 131; // not a multiple of anything
        ConcreteMask mask = new(Count, stream: 7, Temperature);
        Random random = new(3);
        float[] slopes = [.. Enumerable.Range(0, Count).Select(_ => random.NextSingle() - 0.5f)];
        for (int i = 0; i < Count; i++)
            mask.Logits[i] = random.NextSingle() - 0.5f;
        Assert.That(mask.Draw(4).Average(), Is.EqualTo(1).Within(1e-6));
        double[] expected = CentralDifferences.Of(
            mask.Logits,
            1e-2f,
            () => Dot(Array.ConvertAll(mask.Draw(4), x => (double)x), Array.ConvertAll(slopes, x => (double)x))
        );
        VerifyGradient(mask.Gradient(4, slopes), expected, 1e-3, "mask");
        Assert.That(mask.Draw(5), Is.Not.EqualTo(mask.Draw(4)), "each step draws anew");
    }

    [Test]
    public void NearTemperatureZeroAMaskIsZeroOrOneAndLogitsAreItsOdds()
    {
        const int Count = 20_000;
        ConcreteMask mask = new(Count, stream: 7, temperature: 1e-6);
        Array.Fill(mask.Logits, 1f);
        float[] drawn = mask.Draw(1);
        float largest = drawn.Max();
        int between = drawn.Count(value => value > 1e-3f && value < largest - 1e-3f);
        Assert.That(between, Is.LessThan(Count / 1000), "all but a few are 0 or the same number");
        double share = drawn.Count(value => value > 1e-3f) / (double)Count;
        Assert.That(share, Is.EqualTo(1 / (1 + Math.Exp(-1))).Within(4 * 0.5 / Math.Sqrt(Count)));
    }

    [Test]
    public void EntropiesAndTheirGradientsAreThoseOfTheModelInDouble()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        EncodedRecord[] records = TinyModels.Records(3, TinyModels.Llama, new Random(4));
        model.Trainable!.EnableGradients();
        using var batch = new BatchTensors(Device, Batch.Create(records));
        using var tape = new Tape(Device);
        using Tensor entropies = model.TokenEntropies(tape, batch, gradientScale: 0.25f, checkpoint: true);
        tape.Backward();
        Dictionary<string, double[]> values = TinyModels.Values(model.Trainable);
        Assert.That(entropies.ToArray().Sum(x => (double)x), Is.EqualTo(Total()).Within(1e-4));
        foreach (
            string name in (string[])["lm_head.weight", "model.norm.weight", "model.layers.0.self_attn.q_proj.weight"]
        )
        {
            VerifyGradient(
                model.Trainable.Parameters.Single(parameter => parameter.Name == name).Gradient!.ToArray(),
                [.. CentralDifferences.Of(values[name], 1e-5, Total).Select(slope => 0.25 * slope)],
                1e-4,
                name
            );
        }

        double Total() => records.Sum(record => Entropy(TinyModels.Llama, values, record));
    }

    [Test]
    public void WithoutStepsADrawnMaskIsOnTheWeightedSum()
    {
        MergeInput[] inputs = [Tuned(1, weight: 0.5), Tuned(2, 0.4)];
        MergeOptions options = Options(0, 1e-3, Records(1)) with { Seed = 5 };
        Dictionary<string, double[]> result = Merge("concrete", options, inputs);
        Dictionary<string, double[]> theta = Values(Base);
        foreach (string name in (string[])[Query, Embedding])
        {
            double[][] changes = Changes(name, inputs);
            double[] mask = Entries(
                theta[name],
                i => (result[name][i] - theta[name][i]) / (0.7 * ((0.5 * changes[0][i]) + changes[1][i]))
            );
            // σ(2 logit u) of a uniform u, divided by its mean of a half
            double[] clear = [.. mask.Where((_, i) => Math.Abs(changes[0][i] + changes[1][i]) > 0.05)];
            Assert.That(clear, Is.All.InRange(-0.01, 2.2), name);
            Assert.That(clear.Average(), Is.EqualTo(1).Within(5 / Math.Sqrt(clear.Length)), name);
        }
        Assert.That(Merge("concrete", options with { Seed = 6 }, inputs)[Query], Is.Not.EqualTo(result[Query]));
    }

    [Test]
    public void LearningLowersTheEntropyOfThePredictions()
    {
        JsonObject small = Config();
        (small["vocab_size"], small["num_hidden_layers"]) = (11, 1);
        Write("base", 0, 0, small);
        MergeInput[] inputs = [.. Enumerable.Range(1, 2).Select(i => new MergeInput(Write($"in{i}", i, 2, small)))];
        EncodedRecord[][] data = [Records(1, 6), Records(2, 5)];
        double before = Measured(0);
        Assert.That(Measured(40), Is.LessThan(0.9 * before));

        double Measured(int steps)
        {
            Dictionary<string, double[]> merged = Merge("concrete", Options(steps, 0.1, data), inputs);
            return data.Sum(records => records.Sum(record => Entropy(ModelConfig.Load(Base), merged, record)));
        }
    }

    [Test]
    public void MissingDataIsNamed() =>
        Assert.That(
            () => Merge("concrete", new MergeOptions(), Tuned(1)),
            Throws.TypeOf<InputException>().With.Message.Contains("concrete runs models on data")
        );

    /// <summary>The sum of −Σ p log p over the positions before tokens that carry loss.</summary>
    private static double Entropy(
        ModelConfig config,
        IReadOnlyDictionary<string, double[]> weights,
        EncodedRecord record
    )
    {
        double[][] logits = new ReferenceModel(config, weights).Logits(record.Tokens);
        double sum = 0;
        for (int at = record.LossFrom; at < record.Tokens.Length; at++)
        {
            double[] odds = [.. logits[at - 1].Select(Math.Exp)];
            double all = odds.Sum();
            sum -= odds.Sum(odd => odd / all * Math.Log(odd / all));
        }
        return sum;
    }
}
