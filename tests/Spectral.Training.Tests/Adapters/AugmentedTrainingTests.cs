using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters;

/// <summary>
/// Adapted layers over activations that are laid out for one product each way, against the same layers composed of
/// library calls.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AugmentedTrainingTests(DeviceKind kind) : TrainingTest(kind)
{
    private const string All = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj";
    private const string Dropped = "dropout masks a part of its sums";
    private const string Apart = "the operands are not laid out for it";
    private static readonly TrainerOptions Options = new()
    {
        Steps = 5,
        Batch = 3,
        Accumulate = 2,
        LearningRate = 1e-2,
        LogEvery = 0,
        FixedShapes = true,
    };

    [Test]
    public void LossAndGradientsAreThoseOfComposedLayers(
        [Values("lora", "speclora")] string method,
        [Values("Llama", "Everything")] string name,
        [Values] bool checkpointing,
        [Values(All, "q_proj,v_proj,down_proj", "k_proj,o_proj,up_proj")] string targets
    )
    {
        Compare(method, name, checkpointing, targets, 2e-5); // F32 sums over a few dozen terms, in another order
    }

    /// <summary>Outputs that are taken apart, and blocks that read the same input.</summary>
    [TestCase("Phi3", "qkv_proj,o_proj,gate_up_proj,down_proj")]
    [TestCase("Phi3", "o_proj,gate_up_proj")]
    [TestCase("Glm4", "q_proj,k_proj,v_proj,o_proj,gate_up_proj,down_proj")]
    [TestCase("Cohere2", All)]
    [TestCase("Cohere2", "v_proj,o_proj,up_proj")]
    public void LossAndGradientsOfOtherLayersAreThoseOfComposedLayers(string name, string targets)
    {
        Compare("lora", name, checkpointing: false, targets, 2e-5);
        Compare("speclora", name, checkpointing: true, targets, 5e-5); // the terms of a singular value cancel
    }

    private void Compare(string method, string name, bool checkpointing, string targets, double tolerance)
    {
        var config = (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;
        Result composed = Differentiate(LowRankVariant.ComposedB, method, config, DType.F32, checkpointing, targets);
        Result augmented = Differentiate(LowRankVariant.Augmented, method, config, DType.F32, checkpointing, targets);
        Assert.That(
            augmented.Uses,
            Has.Some.EqualTo("low_rank_linear forward f32: augmented")
                .And.Some.EqualTo("low_rank_linear input_gradient f32: augmented")
                .And.None.Contains("composed-b")
        );
        Assert.That(composed.Uses, Has.None.Contains("augmented"));
        Assert.That(augmented.Loss, Is.EqualTo(composed.Loss).Within(2e-6 * composed.Loss));
        foreach ((string parameter, double[] expected) in composed.Gradients)
        {
            VerifyGradient(
                Array.ConvertAll(augmented.Gradients[parameter], value => (float)value),
                expected,
                tolerance,
                parameter
            );
        }
    }

    [Test]
    public void InBf16(
        [Values("lora", "speclora")] string method,
        [Values] AttentionVariant attention,
        [Values] bool checkpointing
    )
    {
        using ForcedAttention forced = new(Device, attention);
        ModelConfig config = TinyModels.Qwen2 with { HeadDimension = 8 };
        Result composed = Differentiate(LowRankVariant.ComposedB, method, config, DType.BF16, checkpointing, All);
        Result augmented = Differentiate(LowRankVariant.Augmented, method, config, DType.BF16, checkpointing, All);
        Assert.That(
            augmented.Uses,
            Has.Some.EqualTo("low_rank_linear forward bf16: augmented")
                .And.Some.EqualTo($"attention bf16: {Attention.NameOf(attention)}")
        );
        Result exact = Differentiate(LowRankVariant.ComposedB, method, config, DType.F32, checkpointing, All);
        double Distance(Result rounded)
        {
            double[] values = Flat(rounded);
            double[] expected = Flat(exact);
            return Math.Sqrt(values.Zip(expected, (x, y) => (x - y) * (x - y)).Sum() / Dot(expected, expected));
        }
        double[] actual = Flat(augmented);
        double[] composedValues = Flat(composed);
        double cosine =
            Dot(actual, composedValues) / Math.Sqrt(Dot(actual, actual) * Dot(composedValues, composedValues));
        Assert.Multiple(() =>
        {
            // a rounding to 8 bits less in each layer, 0.4 % each
            Assert.That(augmented.Loss, Is.EqualTo(composed.Loss).Within(1).Percent);
            Assert.That(cosine, Is.GreaterThan(0.998));
            // Weights and activations of two layers carry 8 bits: how far that leads astray is what composed layers
            // show.
            Assert.That(
                Distance(augmented),
                Is.LessThan(2 * Distance(composed)),
                $"distance from F32, {Distance(composed):P2} composed"
            );
        });
    }

    [Test]
    public void AReplayedStepGivesTheSameBits(
        [Values("lora", "speclora")] string method,
        [Values] bool checkpointing,
        [Values(DType.F32, DType.BF16)] DType type
    )
    {
        TrainerOptions options = Options with { ActivationCheckpointing = checkpointing };
        (float[] Weights, double Loss) eager = Train(LowRankVariant.Augmented, method, type, options);
        (float[] Weights, double Loss) graph = Train(
            LowRankVariant.Augmented,
            method,
            type,
            options with
            {
                CudaGraph = true,
            }
        );
        Assert.That(graph, Is.EqualTo(eager));
    }

    /// <summary>Each step packs L and R anew: a stale copy would not follow.</summary>
    [Test]
    public void TrainingFollowsThatOfComposedLayers([Values("lora", "speclora")] string method)
    {
        (float[] Weights, double Loss) composed = Train(LowRankVariant.ComposedB, method, DType.F32, Options);
        (float[] Weights, double Loss) augmented = Train(LowRankVariant.Augmented, method, DType.F32, Options);
        Assert.That(augmented.Loss, Is.EqualTo(composed.Loss).Within(1e-4 * composed.Loss));
        // Adam's first steps have the size of the rate, whatever the gradient's
        Assert.That(augmented.Weights, Is.EqualTo(composed.Weights).Within(1e-3f));
    }

    [Test]
    public void WeightsMoveAndComeBackBitForBit([Values(DType.F32, DType.BF16)] DType type)
    {
        using ForcedLowRank forced = new(Device, LowRankVariant.Augmented);
        ModelConfig config = TinyModels.Llama with
        {
            HiddenSize = 256,
            IntermediateSize = 320,
            Heads = 4,
            HeadDimension = 64,
        };
        CausalLanguageModel model = Keep(TinyModels.Frozen(config, Device, Folder, type));
        float[][] weights = [.. model.Linears.Select(linear => linear.Weight.ToArray())];
        float[] logits = Logits(model, null);
        long bytes = model.Linears.Sum(linear => linear.Weight.Value.Bytes);
        long before = Device.Memory.InUse;
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions { Rank = 2 }))
        {
            TestAdapters.Randomize(adapter, 3);
            Assert.That(
                Device.Memory.InUse - before,
                Is.LessThan(0.75 * bytes),
                "rows are longer, but there is no second copy"
            );
            Assert.That(
                () => model.Linears[0].Weight.Value,
                Throws.InvalidOperationException.With.Message.Contains("q_proj.weight is part of a wider matrix")
            );
            Assert.That(model.Linears.Select(linear => linear.Weight.ToArray()), Is.EqualTo(weights));
            Assert.That(Logits(model, null), Is.Not.EqualTo(logits));
            model.Save(Folder.Path, null);
            adapter.Detach();
            Assert.That(Logits(model, null), Is.EqualTo(logits));
        }
        Assert.That(Device.Memory.InUse, Is.EqualTo(before));
        Assert.That(model.Linears.Select(linear => linear.Weight.Value.ToArray()), Is.EqualTo(weights));
        Assert.That(TestAdapters.Weights(Folder.Path)[model.Linears[2].Weight.Name], Is.EqualTo(weights[2]));
    }

    [Test]
    public void DropoutFallsBack()
    {
        Device.Variants.Clear();
        Train(LowRankVariant.Augmented, "lora", DType.F32, Options, dropout: 0.2);
        Assert.That(
            Device.Variants.All.Select(use => use.ToString()),
            Has.Some.EqualTo($"low_rank_linear forward f32: composed-b (augmented does not apply: {Dropped})")
                .And.None.EndsWith(": augmented")
        );
    }

    [Test]
    public void DecodingFallsBackAndGivesTheSameLogits()
    {
        using ForcedLowRank forced = new(Device, LowRankVariant.Augmented);
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Everything, Device, Folder));
        TestAdapters.Randomize(
            Keep(Adapter.Attach(model, AdapterMethods.Find("speclora"), new AdapterOptions { Rank = 2, TopK = 2 })),
            3
        );
        float[] whole = Logits(model, null);
        Device.Variants.Clear();
        using KeyValueCache cache = new(model, 1, Tokens.Length);
        float[] prompt = Logits(model, cache, Tokens[..^1]);
        float[] last = Logits(model, cache, Tokens[^1..]);
        Assert.That(last, Is.EqualTo(whole[^last.Length..]).Within(2e-5f));
        Assert.That(prompt, Is.EqualTo(whole[..^last.Length][^prompt.Length..]).Within(2e-5f));
        Assert.That(
            Device.Variants.All.Select(use => use.ToString()),
            Has.Some.EqualTo($"low_rank_linear forward f32: composed-b (augmented does not apply: {Apart})")
                .And.None.EndsWith(": augmented")
        );
    }

    /// <summary>The weights are where the augmented layers keep them; x has no room behind its rows.</summary>
    [Test]
    public void ATensorFromOutsideFallsBack(
        [Values(DType.F32, DType.BF16)] DType type,
        [Values(All, "q_proj,v_proj")] string targets
    )
    {
        (float[][] Values, float[] Dx, float[] Gradients) Run(LowRankVariant variant)
        {
            using ForcedLowRank forced = new(Device, variant);
            using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Everything, Device, Folder, type);
            using var adapter = Adapter.Attach(
                model,
                AdapterMethods.Find("lora"),
                new AdapterOptions { Rank = 2, TargetModules = targets.Split(',') }
            );
            TestAdapters.Randomize(adapter, 3);
            adapter.Parameters.EnableGradients();
            Random random = new(8);
            float[] Draw(int count) => [.. Enumerable.Range(0, count).Select(_ => (float)random.NextDouble() - 0.5f)];
            SiblingLinears siblings = model.Linears[0].Siblings;
            using Variable x = new(
                Tensor.From(Device, Draw(5 * siblings.Layers[0].In), (5, siblings.Layers[0].In), type),
                new Leaf()
            );
            using Tape tape = new(Device);
            Variable[] values = LinearNode.Apply(tape, x, siblings);
            foreach (Variable value in values)
                value.Node!.Accumulate(Tensor.From(Device, Draw((int)value.Value.Count), value.Value.Shape, type));
            tape.Backward();
            using Tensor dx = x.Node!.TakeGradient()!;
            (float[][], float[], float[]) result = (
                values.Select(value => value.Value.ToArray()).ToArray(),
                dx.ToArray(),
                adapter.Parameters.Gradients[0].ToArray()
            );
            foreach (Variable value in values)
                value.Dispose();
            return result;
        }
        (float[][] Values, float[] Dx, float[] Gradients) expected = Run(LowRankVariant.ComposedB);
        (float[][] Values, float[] Dx, float[] Gradients) actual = Run(LowRankVariant.Augmented);
        Assert.That(actual.Values, Is.EqualTo(expected.Values)); // the same products, of rows that lie further apart
        Assert.That(actual.Dx, Is.EqualTo(expected.Dx));
        Assert.That(actual.Gradients, Is.EqualTo(expected.Gradients));
    }

    private static int[] Tokens { get; } = [3, 1, 4, 1, 5, 9, 2, 6];

    private float[] Logits(CausalLanguageModel model, KeyValueCache? cache, int[]? input = null)
    {
        input ??= Tokens;
        using BatchTensors batch = new(Device, Batch.Of(input));
        using var rows = Tensor.From(Device, [.. Enumerable.Range(0, input.Length)], input.Length);
        using Tensor logits = model.Logits(batch, rows, cache);
        return logits.ToArray();
    }

    private Result Differentiate(
        LowRankVariant variant,
        string method,
        ModelConfig config,
        DType type,
        bool checkpointing,
        string targets
    )
    {
        using ForcedLowRank forced = new(Device, variant);
        using CausalLanguageModel model = TinyModels.Frozen(config, Device, Folder, type);
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find(method),
            new AdapterOptions
            {
                Rank = 3,
                TopK = 2,
                Alpha = 5,
                Seed = 9,
                TargetModules = targets.Split(','),
            }
        );
        TestAdapters.Randomize(adapter, 23);
        adapter.Parameters.EnableGradients();
        Device.Variants.Clear();
        using BatchTensors tensors = new(Device, Batch.Create(TinyModels.Records(3, config, new Random(4)), 0));
        using Tape tape = new(Device);
        using Tensor loss = model.Loss(tape, tensors, 1, checkpointing);
        tape.Backward();
        return new Result(
            loss.ToArray()[0],
            adapter.Parameters.Parameters.ToDictionary(
                parameter => parameter.Name,
                parameter => Array.ConvertAll(parameter.Gradient!.ToArray(), value => (double)value)
            ),
            [.. Device.Variants.All.Select(use => use.ToString())]
        );
    }

    private (float[] Weights, double Loss) Train(
        LowRankVariant variant,
        string method,
        DType type,
        TrainerOptions options,
        double dropout = 0
    )
    {
        using ForcedLowRank forced = new(Device, variant);
        using CausalLanguageModel model = TinyModels.Frozen(TinyModels.Llama, Device, Folder, type);
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find(method),
            new AdapterOptions
            {
                Rank = 3,
                TopK = 2,
                Seed = 4,
                Dropout = dropout,
            }
        );
        using Trainer trainer = new(model, options);
        TrainingResult result = trainer.Run(TinyModels.Records(10, TinyModels.Llama, new Random(31)), null);
        return ([.. model.Trainable!.Masters.SelectMany(master => master.ToArray())], result.FinalLoss);
    }

    private static double[] Flat(Result result) =>
        [.. result.Gradients.OrderBy(pair => pair.Key, StringComparer.Ordinal).SelectMany(pair => pair.Value)];

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    private sealed record Result(double Loss, Dictionary<string, double[]> Gradients, string[] Uses);

    private sealed class Leaf : Node
    {
        protected override void Backward(Tensor gradient) { }
    }
}
