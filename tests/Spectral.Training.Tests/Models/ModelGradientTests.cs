using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>Loss and gradients of whole models against a double reference, shifted one scalar at a time.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ModelGradientTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5; // of the differences in double: error about 1e-9
    private const double LossTolerance = 2e-6;
    private const double Tolerance = 1e-5; // of the losses' shares of a gradient, which F32 adds: 4e-6 measured

    [Test]
    public void AllWeights(
        [Values(
            "Llama",
            "Qwen2",
            "Mistral",
            "Everything",
            "Qwen3",
            "Olmo2",
            "Granite",
            "SmolLm3",
            "Phi3",
            "Glm4",
            "Glm",
            "Cohere2",
            "Cohere",
            "Starcoder2",
            "StableLm",
            "StableLmInTurn",
            "StableLmNormed",
            "CohereNormed",
            "Phi",
            "Gpt2",
            "Gemma",
            "Gemma2",
            "Gemma3"
        )]
            string name
    )
    {
        ModelConfig config = Config(name);
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        var batch = Batch.Create(TinyModels.Records(3, config, new Random(3)), 0);
        model.Trainable!.EnableGradients();
        double loss = LossAndGradients(model, batch);

        Dictionary<string, double[]> weights = TinyModels.Values(model.Trainable);
        ReferenceModel reference = new(config, weights);
        Assert.That(loss, Is.EqualTo(reference.LossSum(batch)).Within(LossTolerance * loss));
        foreach (Parameter parameter in model.Trainable.Parameters)
        {
            VerifyGradient(
                parameter.Gradient!.ToArray(),
                CentralDifferences.OfShares(weights[parameter.Name], Step, () => reference.Losses(batch)),
                Tolerance,
                parameter.Name
            );
        }
    }

    // SpecLoRA with a low-rank part has all factors that there are; each kind alone on two of the models.
    private static readonly string[] Adapted =
    [
        "Llama",
        "Everything",
        "Qwen3",
        "Olmo2",
        "Granite",
        "Phi3",
        "Glm4",
        "Cohere2",
        "Starcoder2",
        "StableLm",
        "StableLmNormed",
        "CohereNormed",
        "Phi",
        "Gpt2",
        "Gemma2",
        "Gemma3",
    ];

    private static IEnumerable<TestCaseData> AdapterCases() =>
        [
            .. Adapted.Select(name => new TestCaseData("speclora", name, 3)),
            .. Adapted.Take(2).Select(name => new TestCaseData("speclora", name, 0)),
            .. Adapted.Take(2).Select(name => new TestCaseData("lora", name, 3)),
        ];

    [TestCaseSource(nameof(AdapterCases))]
    public void EveryFactorOfAnAdapter(string method, string name, int rank)
    {
        ModelConfig config = Config(name);
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        Adapter adapter = Keep(
            Adapter.Attach(
                model,
                AdapterMethods.Find(method),
                new AdapterOptions
                {
                    Rank = rank,
                    TopK = 2,
                    Alpha = 5,
                    Seed = 9,
                }
            )
        );
        TestAdapters.Randomize(adapter, 23);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, config, new Random(4)), 0);
        double loss = LossAndGradients(model, batch);

        var factors = adapter
            .Modules.SelectMany(module => module.Factors.Values)
            .ToDictionary(
                factor => factor.Name,
                factor => Array.ConvertAll(factor.Master.ToArray(), value => (double)value)
            );
        ReferenceModel reference = new(model.Config, TestAdapters.Weights(Folder.Path))
        {
            WeightChange = linear => TestAdapters.Dense(adapter, linear, factors),
        };
        Assert.That(loss, Is.EqualTo(reference.LossSum(batch)).Within(LossTolerance * loss));
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            VerifyGradient(
                parameter.Gradient!.ToArray(),
                CentralDifferences.OfShares(factors[parameter.Name], Step, () => reference.Losses(batch)),
                Tolerance,
                parameter.Name
            );
        }
    }

    [Test]
    public void Bf16FollowsTheReference(
        [Values] AttentionVariant attention,
        [Values(
            "Qwen2",
            "Mistral",
            "Qwen3",
            "Olmo2",
            "Granite",
            "Phi",
            "Phi3",
            "Glm4",
            "Cohere2",
            "CohereNormed",
            "Starcoder2",
            "Gemma2",
            "Gemma3"
        )]
            string name
    )
    {
        using ForcedAttention forced = new(Device, attention);
        CausalLanguageModel model = Keep(
            TinyModels.Frozen(Config(name) with { HeadDimension = 8 }, Device, Folder, DType.BF16)
        );
        Adapter adapter = Keep(
            Adapter.Attach(
                model,
                AdapterMethods.Find("speclora"),
                new AdapterOptions
                {
                    Rank = 2,
                    TopK = 2,
                    Alpha = 2,
                }
            )
        );
        TestAdapters.Randomize(adapter, 23);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        double loss = LossAndGradients(model, batch);

        var factors = adapter
            .Modules.SelectMany(module => module.Factors.Values)
            .ToDictionary(
                factor => factor.Name,
                factor => Array.ConvertAll(factor.Master.ToArray(), value => (double)value)
            );
        ReferenceModel reference = new(model.Config, TestAdapters.Weights(Folder.Path))
        {
            WeightChange = linear => TestAdapters.Dense(adapter, linear, factors),
        };
        double expectedLoss = reference.LossSum(batch);
        double[] actual =
        [
            .. adapter
                .Parameters.Parameters.SelectMany(parameter => parameter.Gradient!.ToArray())
                .Select(value => (double)value),
        ];
        double[] expected =
        [
            .. adapter.Parameters.Parameters.SelectMany(parameter =>
                CentralDifferences.Of(factors[parameter.Name], Step, () => reference.LossSum(batch))
            ),
        ];
        double cosine = Dot(actual, expected) / Math.Sqrt(Dot(actual, actual) * Dot(expected, expected));
        Assert.Multiple(() =>
        {
            // Weights and activations carry 8 bits: 0.4 % each, through two layers.
            Assert.That(loss, Is.EqualTo(expectedLoss).Within(2).Percent);
            Assert.That(cosine, Is.GreaterThan(0.995));
            Assert.That(Math.Sqrt(Dot(actual, actual) / Dot(expected, expected)), Is.EqualTo(1).Within(0.05));
        });
    }

    [Test]
    public void CheckpointingChangesNoBit(
        [Values(
            "Everything",
            "Olmo2",
            "Granite",
            "Phi3",
            "Glm4",
            "Cohere2",
            "StableLm",
            "StableLmNormed",
            "CohereNormed",
            "Phi",
            "Gpt2",
            "Gemma2",
            "Gemma3"
        )]
            string name
    )
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(Config(name), Device));
        model.Trainable!.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(4, model.Config, new Random(6)), 0);
        LossAndGradients(model, batch);
        float[][] plain = [.. model.Trainable.Gradients.Select(gradient => gradient.ToArray())];
        model.Trainable.ClearGradients();
        LossAndGradients(model, batch, checkpoint: true);
        Assert.That(model.Trainable.Gradients.Select(gradient => gradient.ToArray()), Is.EqualTo(plain));
    }

    [Test]
    public void CheckpointingChangesNoBitOfAnAdapterOnTheFirstLayersOutput()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        Adapter adapter = Keep(
            Adapter.Attach(
                model,
                AdapterMethods.Find("lora"),
                new AdapterOptions { Rank = 2, TargetModules = ["o_proj"] }
            )
        );
        TestAdapters.Randomize(adapter, 2);
        adapter.Parameters.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(4, model.Config, new Random(6)), 0);
        LossAndGradients(model, batch);
        float[][] plain = [.. adapter.Parameters.Gradients.Select(gradient => gradient.ToArray())];
        adapter.Parameters.ClearGradients();
        LossAndGradients(model, batch, checkpoint: true);
        Assert.That(adapter.Parameters.Gradients.Select(gradient => gradient.ToArray()), Is.EqualTo(plain));
    }

    [Test]
    public void PaddingChangesNoLoss()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Everything, Device));
        EncodedRecord[] records = TinyModels.Records(5, model.Config, new Random(8), longest: 12);
        double together = LossAndGradients(model, Batch.Create(records, 3));
        double apart = records.Sum(record => LossAndGradients(model, Batch.Create([record], 0)));
        Assert.That(together, Is.EqualTo(apart).Within(LossTolerance * apart));
    }

    private static ModelConfig Config(string name) =>
        (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;

    private double LossAndGradients(CausalLanguageModel model, Batch batch, bool checkpoint = false)
    {
        using BatchTensors tensors = new(Device, batch);
        using Tape tape = new(Device);
        using Tensor loss = model.Loss(tape, tensors, 1, checkpoint);
        tape.Backward();
        return loss.ToArray()[0];
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b).Sum(pair => pair.First * pair.Second);
}
