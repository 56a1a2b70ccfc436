using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>
/// Losses and gradients of models with a head for classes, words or a number against a reference in double, shifted one
/// scalar at a time.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ClassifierModelTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5; // of the differences in double: error about 1e-9
    private const double LossTolerance = 2e-5;
    private const double Tolerance = 2e-5; // of the losses' shares of a gradient

    private static readonly Dictionary<string, ModelConfig> Encoders = new()
    {
        ["BertClasses"] = TinyClassifiers.Bert,
        ["BertNumber"] = TinyClassifiers.Bert with { Classifier = TinyClassifiers.Number },
        ["BertWords"] = TinyClassifiers.Bert with { Classifier = TinyClassifiers.Classes(5, ClassifierKind.Tokens) },
        ["RobertaClasses"] = TinyClassifiers.Roberta,
        ["RobertaNumber"] = TinyClassifiers.Roberta with { Classifier = TinyClassifiers.Number },
        ["RobertaWords"] = TinyClassifiers.Roberta with
        {
            Classifier = TinyClassifiers.Classes(5, ClassifierKind.Tokens),
        },
    };

    private static IEnumerable<string> Names => Encoders.Keys;

    [Test]
    public void AllWeightsOfAnEncoder([ValueSource(nameof(Names))] string name, [Values] bool packed)
    {
        ModelConfig config = Encoders[name];
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        EncodedRecord[] records = TinyClassifiers.Records(5, config, new Random(3));
        Batch batch = packed ? Batch.Pack([records[..2], records[2..3], records[3..]]) : Batch.Create(records);
        model.Trainable!.EnableGradients();
        double loss = Losses.WithGradients(model, batch);

        Dictionary<string, double[]> weights = TinyModels.Values(model.Trainable);
        ReferenceEncoder reference = new(config, weights);
        double expected = reference.Losses(records).Sum();
        Assert.That(loss, Is.EqualTo(expected).Within(LossTolerance * expected));
        foreach (Parameter parameter in model.Trainable.Parameters)
        {
            // A number that is added to all scores of a query changes no probability: the gradient is 0, and what F32
            // leaves of it is rounding of terms of order 1.
            if (parameter.Name.EndsWith("key.bias", StringComparison.Ordinal))
            {
                Assert.That(parameter.Gradient!.ToArray(), Is.All.Zero.Within(3e-6), parameter.Name);
                continue;
            }

            VerifyGradient(
                parameter.Gradient!.ToArray(),
                CentralDifferences.OfShares(weights[parameter.Name], Step, () => reference.Losses(records)),
                Tolerance,
                parameter.Name
            );
        }
    }

    /// <summary>Factors of adapters on all layers of the blocks, and the head that trains beside them.</summary>
    [Test]
    public void EveryFactorOfAnAdapterAndTheHead([ValueSource(nameof(Names))] string name)
    {
        ModelConfig config = Encoders[name];
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        Adapter adapter = Keep(
            Adapter.Attach(
                model,
                AdapterMethods.Find("lora"),
                new AdapterOptions
                {
                    Rank = 2,
                    Alpha = 3,
                    TargetModules = ["query", "key", "value", "dense"],
                }
            )
        );
        var random = new Random(7);
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            parameter.Master.CopyFrom([
                .. parameter.Master.ToArray().Select(value => value + 0.3f * (float)(random.NextDouble() - 0.5)),
            ]);
        }

        adapter.Parameters.NotifyChanged();
        adapter.Parameters.EnableGradients();
        EncodedRecord[] records = TinyClassifiers.Records(5, config, new Random(3));
        double loss = Losses.WithGradients(model, Batch.Create(records));

        Dictionary<string, double[]> weights = Weights(model);
        Dictionary<string, double[]> own = TinyModels.Values(adapter.Parameters);
        string[] heads = [.. adapter.WholeWeights.Select(weight => weight.Name)];
        Assert.That(
            heads,
            Is.EquivalentTo(weights.Keys.Where(key => key.StartsWith("classifier.", StringComparison.Ordinal)))
        );
        foreach (string head in heads)
            weights[head] = own[head];
        var reference = new ReferenceEncoder(config, weights)
        {
            WeightChange = module =>
                adapter.Modules.FirstOrDefault(adapted => adapted.Shape.Name == module) is { } found
                    ? Change(found, own)
                    : null,
        };
        double expected = reference.Losses(records).Sum();
        Assert.That(loss, Is.EqualTo(expected).Within(LossTolerance * expected));
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            VerifyGradient(
                parameter.Gradient!.ToArray(),
                CentralDifferences.OfShares(own[parameter.Name], Step, () => reference.Losses(records)),
                Tolerance,
                parameter.Name
            );
        }
    }

    [Test]
    public void TheLastTokenOfADecoderIsRead()
    {
        ModelConfig config = TinyClassifiers.Llama;
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        EncodedRecord[] records = TinyClassifiers.Records(5, config, new Random(3));
        Dictionary<string, double[]> weights = TinyModels.Values(model.Trainable!);
        weights["lm_head.weight"] = weights["score.weight"];
        var reference = new ReferenceModel(config with { VocabularySize = 3, Classifier = null }, weights);
        double expected = records.Sum(record =>
        {
            double[] logits = reference.Logits(record.Tokens)[^1];
            return Math.Log(logits.Sum(Math.Exp)) - logits[record.Labels![0].Class];
        });
        Assert.That(Losses.Of(model, Batch.Create(records)), Is.EqualTo(expected).Within(LossTolerance * expected));
    }

    [Test]
    public void PaddingChangesNothing()
    {
        ModelConfig config = TinyClassifiers.Bert;
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        EncodedRecord record = TinyClassifiers.Records(1, config, new Random(3))[0];
        Assert.That(
            Losses.Of(model, Batch.Create([record], paddingToken: 5, length: 13, rows: 3)),
            Is.EqualTo(Losses.Of(model, Batch.Create([record]))).Within(1e-6)
        );
    }

    [Test]
    public void RowsWithoutSpansAreRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyClassifiers.Bert, Device));
        Assert.That(
            () => Losses.Of(model, Batch.Create(TinyModels.Records(2, model.Config, new Random(3)))),
            Throws.ArgumentException.With.Message.Contains("rows without spans")
        );
    }

    private static Dictionary<string, double[]> Weights(CausalLanguageModel model) =>
        ModelTensors
            .For(model.Config)
            .ToDictionary(
                tensor => tensor.Name,
                tensor => Array.ConvertAll(model.ParameterOf(tensor.Name).ToArray(), value => (double)value)
            );

    /// <summary>B A · alpha / rank [out·in].</summary>
    private static double[] Change(AdaptedModule module, Dictionary<string, double[]> values)
    {
        double[] a = values[$"{module.Shape.Name}.lora_A.weight"];
        double[] b = values[$"{module.Shape.Name}.lora_B.weight"];
        double[] change = new double[module.Shape.Out * module.Shape.In];
        for (int row = 0; row < module.Shape.Out; row++)
        {
            for (int i = 0; i < module.Shape.In; i++)
                change[row * module.Shape.In + i] = 1.5 * (b[2 * row] * a[i] + b[2 * row + 1] * a[module.Shape.In + i]);
        }

        return change;
    }
}
