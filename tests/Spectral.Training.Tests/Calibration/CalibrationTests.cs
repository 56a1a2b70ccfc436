using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Calibration;

/// <summary>
/// What calibration collects, against the same gathered token by token in double and, for gradients, against training
/// all weights.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class CalibrationTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Tolerance = 2e-5; // F32 sums over a few dozen tokens through two layers

    // unequal lengths: batches are padded
    private static readonly EncodedRecord[] Records = TinyModels.Records(7, TinyModels.Llama, new Random(11));

    [Test]
    public void GradientsAreThoseOfTrainingAllWeights(
        [Values("Llama", "Everything")] string name,
        [Values(1, 3)] int batch
    )
    {
        ModelConfig config = TinyModels.All.Single(known =>
            known == (name == "Llama" ? TinyModels.Llama : TinyModels.Everything)
        );
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        CausalLanguageModel trained = Keep(TinyModels.Trainable(model.Config, Device));
        EncodedRecord[][] batches = [.. Records.Chunk(batch)];
        trained.Trainable!.EnableGradients();
        foreach (EncodedRecord[] records in batches)
        {
            using BatchTensors tensors = new(Device, Batch.Create(records));
            using Tape tape = new(Device);
            using Tensor loss = trained.Loss(tape, tensors, 1f / tensors.Source.LossTokens / batches.Length);
            tape.Backward();
        }
        string[] modules = Names(model);
        float[][] gradients = Values(new ModelCalibration(model, Records, batch).Gradients(modules));
        for (int i = 0; i < modules.Length; i++)
        {
            VerifyGradient(
                gradients[i],
                Array.ConvertAll(trained.Linears[i].Weight.Gradient!.ToArray(), value => (double)value),
                Tolerance,
                modules[i]
            );
        }
    }

    [Test]
    public void OneLayerAtATimeGivesTheSameBits()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        ModelCalibration together = new(model, Records, 3);
        ModelCalibration apart = new(model, Records, 3) { MemoryBudget = 1 };
        string[] some =
        [
            .. Names(model)
                .Where(name => !name.Contains("layers.0") || name.EndsWith("k_proj", StringComparison.Ordinal)),
        ];
        Assert.Multiple(() =>
        {
            Assert.That(Values(apart.Gradients(some)), Is.EqualTo(Values(together.Gradients(some))));
            Assert.That(Values(apart.InputSecondMoments(some)), Is.EqualTo(Values(together.InputSecondMoments(some))));
            Assert.That(model.Linears.Select(linear => linear.Siblings.Observer), Is.All.Null);
        });
    }

    [Test]
    public void StoppingHalfwayLeavesNothingBehind()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        foreach (Tensor first in new ModelCalibration(model, Records).Gradients(Names(model)))
        {
            first.Dispose();
            break;
        }
        // and TrainingTest counts the memory
        Assert.That(model.Linears.Select(linear => linear.Siblings.Observer), Is.All.Null);
    }

    [Test]
    public void SecondMomentsAreThoseOfEachRecordsTokens([Values("F32", "BF16")] string type, [Values(1, 4)] int batch)
    {
        DType dtype = Enum.Parse<DType>(type);
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Everything, Device, Folder, dtype));
        string[] modules = Names(model);
        float[][] actual = Values(new ModelCalibration(model, Records, batch).InputSecondMoments(modules));
        Dictionary<string, double[]> expected = modules.ToDictionary(name => name, _ => Array.Empty<double>());
        foreach (EncodedRecord record in Records)
        {
            foreach ((string name, List<double[]> x) in Inputs([record]))
            {
                int size = x[0].Length;
                double largest = x.Max(row => row.Max(Math.Abs));
                if (expected[name].Length == 0)
                    expected[name] = new double[size * size];
                foreach (double[] row in x)
                {
                    for (int i = 0; i < size; i++)
                    {
                        for (int j = 0; j < size; j++)
                            expected[name][i * size + j] += row[i] * row[j] / (largest * largest) / Records.Length;
                    }
                }
            }
        }

        // BF16 activations carry 8 bits, and are divided by a largest one that does
        for (int i = 0; i < modules.Length; i++)
            VerifyGradient(actual[i], expected[modules[i]], dtype == DType.F32 ? Tolerance : 0.05, modules[i]);
    }

    [Test]
    public void AllDirectionsTogetherAreThePrincipalComponents([Values(1, 3, 7)] int batch, [Values] bool labelled)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Everything, Device, Folder));
        string[] modules = Names(model);
        IReadOnlyList<InputDirections> directions = new ModelCalibration(model, Records, batch).InputDirections(
            modules,
            100,
            similarity: 2,
            labelled
        );
        Dictionary<string, List<double[]>> inputs = Inputs(Records, labelled);
        foreach ((string name, InputDirections found) in modules.Zip(directions))
        {
            // With nothing truncated the incremental decomposition is that of all tokens at once: scatter · v = σ² v.
            double[] scatter = Scatter(inputs[name]);
            int size = inputs[name][0].Length;
            double trace = Enumerable.Range(0, size).Sum(i => scatter[i * size + i]);
            Assert.That(found.Count, Is.EqualTo(size), name);
            Assert.That(found.SingularValues, Is.Ordered.Descending, name);
            Assert.That(found.ExplainedVariance.Sum(), Is.EqualTo(1).Within(1e-5), name);
            for (int k = 0; k < size; k++)
            {
                double value = (double)found.SingularValues[k] * found.SingularValues[k];
                Assert.That(found.ExplainedVariance[k], Is.EqualTo(value / trace).Within(1e-5), name);
                for (int i = 0; i < size; i++)
                {
                    double product = Enumerable
                        .Range(0, size)
                        .Sum(j => scatter[i * size + j] * found.Vectors[k * size + j]);
                    Assert.That(product, Is.EqualTo(value * found.Vectors[k * size + i]).Within(1e-5 * trace), name);
                }
            }
        }
        Assert.That(directions[1], Is.SameAs(directions[0]), "q and k read the same input");
    }

    [Test]
    public void TruncatedDirectionsFollowTheDataUntilTheyStandStill()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        string[] modules = Names(model);
        const int Kept = 2;
        IReadOnlyList<InputDirections> all = new ModelCalibration(model, Records, Records.Length).InputDirections(
            modules,
            100
        );
        IReadOnlyList<InputDirections> once = new ModelCalibration(model, Records, Records.Length).InputDirections(
            modules,
            Kept
        );
        IReadOnlyList<InputDirections> repeated = new ModelCalibration(
            model,
            [.. Records, .. Records, .. Records],
            Records.Length
        ).InputDirections(modules, Kept);
        for (int m = 0; m < modules.Length; m++)
        {
            Assert.That(once[m].Converged, Is.False, "one batch cannot show that nothing moves");
            Assert.That(repeated[m].Converged, Is.True, "a batch like the last moves nothing");
            Assert.That(
                repeated[m].SingularValues[0] / once[m].SingularValues[0],
                Is.EqualTo(Math.Sqrt(2)).Within(1e-5),
                "the third is not looked at any more"
            );
            for (int k = 0; k < Kept; k++)
            {
                Assert.That(Math.Abs(Dot(once[m], all[m], k)), Is.EqualTo(1).Within(1e-5));
                Assert.That(Math.Abs(Dot(repeated[m], all[m], k)), Is.GreaterThan(0.99));
            }
        }

        static double Dot(InputDirections a, InputDirections b, int k) =>
            Enumerable.Range(k * a.Features, a.Features).Sum(i => (double)a.Vectors[i] * b.Vectors[i]);
    }

    [Test]
    public void MistakesAreNamed()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        ModelCalibration calibration = new(model, Records);
        Assert.Multiple(() =>
        {
            Assert.That(
                () => new ModelCalibration(model, []),
                Throws.TypeOf<InputException>().With.Message.Contains("no calibration records")
            );
            Assert.That(() => new ModelCalibration(model, Records, 0), Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(
                () => calibration.Gradients(["lm_head"]),
                Throws.TypeOf<InputException>().With.Message.Contains("lm_head")
            );
            Assert.That(
                () => calibration.InputDirections(Names(model), 0),
                Throws.TypeOf<ArgumentOutOfRangeException>()
            );
        });
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions());
        Assert.That(
            () => calibration.InputDirections(Names(model), 1),
            Throws.InvalidOperationException.With.Message.Contains("no adapter")
        );
    }

    [Test]
    public void WhatIsNotFiniteIsNamed()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Linear output = model.Linears.First(linear => linear.Name.EndsWith("o_proj", StringComparison.Ordinal));
        output.Weight.Value.CopyFrom([.. Enumerable.Repeat(float.NaN, (int)output.Weight.Value.Count)]);
        ModelCalibration calibration = new(model, Records);
        string[] after = ["model.layers.1.mlp.down_proj"];
        Assert.Multiple(() =>
        {
            Assert.That(
                () => Values(calibration.Gradients(after)),
                Throws.TypeOf<InputException>().With.Message.Contains("loss")
            );
            Assert.That(
                () => Values(calibration.InputSecondMoments(after)),
                Throws.TypeOf<InputException>().With.Message.Contains(after[0])
            );
            Assert.That(
                () => calibration.InputDirections(after, 2),
                Throws.TypeOf<InputException>().With.Message.Contains(after[0])
            );
            Assert.That(model.Linears.Select(linear => linear.Siblings.Observer), Is.All.Null);
        });
    }

    private static string[] Names(CausalLanguageModel model) => [.. model.Linears.Select(linear => linear.Name)];

    private static float[][] Values(IEnumerable<Tensor> tensors) =>
        [
            .. tensors.Select(tensor =>
            {
                using (tensor)
                    return tensor.ToArray();
            }),
        ];

    /// <summary>The input of every linear layer for each token of the records, in double.</summary>
    private Dictionary<string, List<double[]>> Inputs(EncodedRecord[] records, bool labelled = false)
    {
        // Of a prompt's tokens none has a label (PEFT's use_label_mask).
        int skipped = 0;
        Dictionary<string, List<double[]>> inputs = [];
        using var folder = ModelFolder.Open(Folder.Path);
        ReferenceModel reference = new(folder.Config, TestAdapters.Weights(Folder.Path))
        {
            Observe = (name, x) =>
                (inputs.TryGetValue(name, out List<double[]>? seen) ? seen : inputs[name] = []).Add(x),
        };
        foreach (EncodedRecord record in records)
        {
            reference.Logits(record.Tokens);
            foreach (List<double[]> seen in inputs.Values.Where(_ => labelled))
                seen.RemoveRange(skipped, record.PromptLength);
            skipped += record.Tokens.Length - record.PromptLength;
        }
        return inputs;
    }

    /// <summary>Σ (x − mean)(x − mean)ᵀ.</summary>
    private static double[] Scatter(List<double[]> rows)
    {
        int size = rows[0].Length;
        double[] scatter = new double[size * size];
        double[] mean = [.. Enumerable.Range(0, size).Select(i => rows.Average(row => row[i]))];
        foreach (double[] row in rows)
        {
            for (int i = 0; i < size; i++)
            {
                for (int j = 0; j < size; j++)
                    scatter[i * size + j] += (row[i] - mean[i]) * (row[j] - mean[j]);
            }
        }

        return scatter;
    }
}
