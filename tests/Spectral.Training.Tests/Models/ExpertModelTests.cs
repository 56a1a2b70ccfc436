using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>Models with mixtures of experts against a double reference that visits the experts of one token.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ExpertModelTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Step = 1e-5; // of the differences in double: error about 1e-9
    private const double LossTolerance = 2e-6;
    private const double Tolerance = 2e-5; // F32 sums over a few dozen terms through two layers

    [Test]
    public void AllWeights([Values("Mixtral", "Qwen3Moe")] string name, [Values] bool balanced)
    {
        ModelConfig config = Config(name);
        config = config with
        {
            Experts = config.Experts! with { BalanceCoefficient = 0.7, AddsBalanceLoss = balanced },
        };
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        var batch = Batch.Create(TinyModels.Records(3, config, new Random(3)), 0);
        model.Trainable!.EnableGradients();
        double loss = LossAndGradients(model, batch);

        Dictionary<string, double[]> weights = TinyModels.Values(model.Trainable);
        double expected = Objective(config, weights, batch);
        Assert.That(loss, Is.EqualTo(expected).Within(LossTolerance * expected));
        foreach (Parameter parameter in model.Trainable.Parameters)
        {
            VerifyGradient(
                parameter.Gradient!.ToArray(),
                CentralDifferences.Of(weights[parameter.Name], Step, () => Objective(config, weights, batch)),
                Tolerance,
                parameter.Name
            );
        }
    }

    [Test]
    public void EveryFactorOfAnAdapter(
        [Values("Mixtral", "Qwen3Moe")] string name,
        [Values("all-linear", "gate", "w1,w2,w3", "gate_proj,up_proj,down_proj", ".*\\.experts\\.[13]\\..*")]
            string targets
    )
    {
        ModelConfig config = Config(name);
        if (targets.Contains(name == "Mixtral" ? "_proj" : "w1", StringComparison.Ordinal))
            return;
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder));
        var options = new AdapterOptions
        {
            Rank = 2,
            Alpha = 5,
            Seed = 9,
            TargetModules = AdapterTargets.Parse(targets),
        };
        Adapter adapter = Keep(Adapter.Attach(model, AdapterMethods.Find("lora"), options));
        Assert.That(
            adapter.Modules.Select(module => module.Shape.Name),
            Is.EqualTo(AdapterTargets.Of(config, options).Select(shape => shape.Name))
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
        double expected = reference.LossSum(batch);
        Assert.That(loss, Is.EqualTo(expected).Within(LossTolerance * expected));
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            VerifyGradient(
                parameter.Gradient!.ToArray(),
                CentralDifferences.Of(factors[parameter.Name], Step, () => reference.LossSum(batch)),
                Tolerance,
                parameter.Name
            );
        }
    }

    [Test]
    public void CheckpointingChangesNoBit([Values("Mixtral", "Qwen3Moe")] string name)
    {
        ModelConfig config = Config(name);
        config = config with { Experts = config.Experts! with { BalanceCoefficient = 0.3, AddsBalanceLoss = true } };
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        model.Trainable!.EnableGradients();
        var batch = Batch.Create(TinyModels.Records(4, model.Config, new Random(6)), 0);
        double loss = LossAndGradients(model, batch);
        float[][] plain = [.. model.Trainable.Gradients.Select(gradient => gradient.ToArray())];
        model.Trainable.ClearGradients();
        Assert.That(LossAndGradients(model, batch, checkpoint: true), Is.EqualTo(loss));
        Assert.That(model.Trainable.Gradients.Select(gradient => gradient.ToArray()), Is.EqualTo(plain));
    }

    [Test]
    public void PaddingChangesNoLossAndNoBalance()
    {
        ModelConfig config = TinyModels.Mixtral with
        {
            Experts = TinyModels.Mixtral.Experts! with { BalanceCoefficient = 0.5, AddsBalanceLoss = true },
        };
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        EncodedRecord[] records = TinyModels.Records(5, config, new Random(8), longest: 12);
        double narrow = LossAndGradients(model, Batch.Create(records, 3));
        double wide = LossAndGradients(model, Batch.Create(records, 7, length: 20, rows: 8));
        Assert.That(wide, Is.EqualTo(narrow).Within(LossTolerance * narrow));
    }

    /// <summary>Without the loss that balances, the coefficient has no say; nor has it in evaluation.</summary>
    [Test]
    public void TheBalanceIsAddedInTrainingAloneAndOnlyIfAskedFor()
    {
        ModelConfig plain = TinyModels.Mixtral with
        {
            Experts = TinyModels.Mixtral.Experts! with { BalanceCoefficient = 0.5 },
        };
        ModelConfig balanced = plain with { Experts = plain.Experts! with { AddsBalanceLoss = true } };
        EncodedRecord[] records = TinyModels.Records(5, plain, new Random(8));
        var batch = Batch.Create(records, 0);
        CausalLanguageModel with = Keep(TinyModels.Trainable(balanced, Device));
        CausalLanguageModel without = Keep(TinyModels.Trainable(plain, Device));
        double loss = LossAndGradients(without, batch);
        Assert.That(LossAndGradients(with, batch), Is.GreaterThan(loss * 1.01));
        Assert.That(
            Evaluator.Evaluate(with, records, 5).Loss,
            Is.EqualTo(loss / batch.LossTokens).Within(LossTolerance * loss)
        );
    }

    /// <summary>The cost of a step: rows of the experts' products.</summary>
    [Test]
    public void ProductsHaveARowForEachTokenAndItsExperts([Values("Mixtral", "Qwen3Moe")] string name)
    {
        ModelConfig config = Config(name);
        CausalLanguageModel model = Keep(TinyModels.Trainable(config, Device));
        var batch = Batch.Create(TinyModels.Records(4, config, new Random(6)), 0);
        var counts = new Dictionary<string, RowCounter>();
        foreach (Linear linear in model.Linears)
        {
            if (linear.Name.Contains(".experts.", StringComparison.Ordinal))
                linear.Siblings.Observer = counts[linear.Name] = new RowCounter();
        }
        LossAndGradients(model, batch);
        int layers = Enumerable.Range(0, config.Layers).Count(config.Experts!.In);
        int chosen = layers * batch.Tokens.Length * config.Experts.PerToken;
        // Gate and up share an observer, the one that was set last.
        string up = name == "Mixtral" ? ".w3" : ".up_proj";
        Assert.Multiple(() =>
        {
            Assert.That(Rows(up), Is.EqualTo(chosen));
            Assert.That(Rows(name == "Mixtral" ? ".w2" : ".down_proj"), Is.EqualTo(chosen));
            Assert.That(counts.Values.Select(counter => counter.Smallest), Is.All.GreaterThan(0), "empty products");
        });

        int Rows(string end) =>
            counts.Where(pair => pair.Key.EndsWith(end, StringComparison.Ordinal)).Sum(pair => pair.Value.Rows);
    }

    [Test]
    public void Bf16FollowsTheReference([Values("Mixtral", "Qwen3Moe")] string name)
    {
        CausalLanguageModel model = Keep(
            TinyModels.Frozen(Config(name) with { HeadDimension = 8 }, Device, Folder, DType.BF16)
        );
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(4)), 0);
        double loss = LossAndGradients(model, batch);
        // Weights and activations carry 8 bits; a token may go to another expert of nearly the same logit.
        double expected = new ReferenceModel(model.Config, TestAdapters.Weights(Folder.Path)).LossSum(batch);
        Assert.That(loss, Is.EqualTo(expected).Within(3).Percent);
    }

    [Test]
    public void AMissingExpertIsNamed()
    {
        TinyModels.Frozen(TinyModels.Mixtral, Device, Folder).Dispose();
        string path = Folder.File("model.safetensors");
        const string Missing = "model.layers.1.block_sparse_moe.experts.3.w2.weight";
        List<TensorToWrite> kept = [];
        using (var file = SafetensorsFile.Open(path))
        {
            foreach (SafetensorsTensor tensor in file.Tensors.Values.Where(tensor => tensor.Name != Missing))
            {
                float[] values = tensor.ToFloats();
                kept.Add(TensorToWrite.Floats(tensor.Name, StoredType.F32, tensor.Shape, () => values));
            }
        }
        SafetensorsWriter.Write(path, kept);
        Assert.That(
            () => ModelFolder.Open(Folder.Path).Dispose(),
            Throws.TypeOf<InputException>().With.Message.Contains($"tensor {Missing} is missing in the weights")
        );
    }

    [Test]
    public void CalibrationOfAnExpertIsRefused()
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Mixtral, Device, Folder));
        var calibration = new ModelCalibration(model, TinyModels.Records(3, model.Config, new Random(2)), 2);
        const string Expert = "model.layers.0.block_sparse_moe.experts.0.w1";
        Assert.That(
            () => calibration.InputSecondMoments([Expert]).First(),
            Throws.TypeOf<InputException>().With.Message.Contains($"{Expert} belongs to an expert")
        );
    }

    [Test]
    public void AStepWithExpertsIsNotCaptured()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Qwen3Moe, Device));
        var options = new TrainerOptions { Steps = 2, CudaGraph = true };
        Assert.That(
            () => new Trainer(model, options),
            Throws.TypeOf<InputException>().With.Message.Contains("expected no --graph")
        );
    }

    private static ModelConfig Config(string name) =>
        (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;

    /// <summary>
    /// The sum of the losses, and for each token with a loss once the balance: E Σ_e f_e P_e with the means over all
    /// tokens that are not padding and all routers (Fedus et al., 2021, equations 4 to 6, with k choices per token).
    /// </summary>
    private static double Objective(ModelConfig config, IReadOnlyDictionary<string, double[]> weights, Batch batch)
    {
        ExpertsConfig experts = config.Experts!;
        double[] load = new double[experts.Count];
        double[] probability = new double[experts.Count];
        int routed = 0;
        ReferenceModel reference = new(config, weights)
        {
            Observe = (name, x) =>
            {
                if (!name.EndsWith(".gate", StringComparison.Ordinal))
                    return;
                double[] router = weights[name + ".weight"];
                double[] logits =
                [
                    .. Enumerable
                        .Range(0, experts.Count)
                        .Select(e => x.Select((value, i) => value * router[(e * x.Length) + i]).Sum()),
                ];
                double total = logits.Sum(Math.Exp);
                routed++;
                foreach (
                    int e in Enumerable.Range(0, experts.Count).OrderByDescending(e => logits[e]).Take(experts.PerToken)
                )
                {
                    load[e]++;
                }
                for (int e = 0; e < experts.Count; e++)
                    probability[e] += Math.Exp(logits[e]) / total;
            },
        };
        double loss = reference.LossSum(batch);
        if (!experts.AddsBalanceLoss)
            return loss;
        // Padding follows the tokens, so that each record by itself has the same logits without it.
        (load, probability, routed) = (new double[experts.Count], new double[experts.Count], 0);
        for (int row = 0; row < batch.Rows; row++)
        {
            bool[] isReal = batch.IsReal!;
            int length = Enumerable.Range(0, batch.Length).Count(t => isReal[(row * batch.Length) + t]);
            reference.Logits(batch.Tokens.AsSpan(row * batch.Length, length));
        }
        double balance = experts.Count * load.Zip(probability, (f, p) => f / routed * (p / routed)).Sum();
        return loss + batch.LossTokens * experts.BalanceCoefficient * balance;
    }

    private double LossAndGradients(CausalLanguageModel model, Batch batch, bool checkpoint = false)
    {
        using BatchTensors tensors = new(Device, batch);
        using Tape tape = new(Device);
        using Tensor loss = model.Loss(tape, tensors, 1, checkpoint);
        tape.Backward();
        return loss.ToArray()[0];
    }

    private sealed class RowCounter : LinearObserver
    {
        public int Rows { get; private set; }

        public int Smallest { get; private set; } = int.MaxValue;

        public override void Forward(Tensor x) => (Rows, Smallest) = (Rows + x.Dim(0), Math.Min(Smallest, x.Dim(0)));
    }
}
