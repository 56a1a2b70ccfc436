using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Distributed;

/// <summary>
/// Tests what sums of gradients during backward rely on: that gradients of layers which backward has left do not change
/// any more, in every method, and that buckets cover all gradients and wait for all of their layers.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class GradientSumsTests(DeviceKind kind) : TrainingTest(kind)
{
    [Test]
    public void GradientsOfLayersThatBackwardHasLeftAreFinal(
        [ValueSource(typeof(TestAdapters), nameof(TestAdapters.LayerMethods))] string name,
        [Values] bool checkpointing
    )
    {
        AdapterMethod method = AdapterMethods.Find(name);
        CausalLanguageModel model = Keep(
            TinyModels.Frozen(TinyModels.Llama, Device, Folder, quantization: TestAdapters.BaseOf(method))
        );
        Adapter adapter = Keep(
            TestAdapters.Attach(
                model,
                method,
                TestAdapters.For(
                    method,
                    new AdapterOptions
                    {
                        Rank = 2,
                        TopK = 2,
                        InvocationTokens = [3],
                    }
                )
            )
        );
        TestAdapters.Randomize(adapter, 5);
        AssertFinal(model, checkpointing);
    }

    [Test]
    public void SoAreThoseOfAllWeights([Values] bool checkpointing) =>
        AssertFinal(Keep(TinyModels.Trainable(TinyModels.Everything, Device)), checkpointing);

    /// <summary>A loss on pairs reads each layer twice; backward has left it after the second time.</summary>
    [Test]
    public void ALayerThatIsReadTwiceIsLeftOnce()
    {
        CausalLanguageModel model = Keep(TinyModels.Trainable(TinyModels.Llama, Device));
        model.Trainable!.EnableGradients();
        var passed = new List<int>();
        int left = 0;
        using Tape tape = new(Device) { Passed = passed.Add };
        using BatchTensors batch = new(Device, Batch.Create(TinyModels.Records(3, TinyModels.Llama, new Random(1)), 0));
        using Tensor first = model.Loss(tape, batch, 1);
        left = tape.Count;
        using Tensor second = model.Loss(tape, batch, 1);
        tape.Backward(left);
        Assert.That(passed, Is.Empty);
        tape.Backward();
        Assert.That(passed, Is.EqualTo(Enumerable.Range(0, model.Config.Layers).Reverse()));
    }

    [Test]
    public void BucketsCoverEverythingOnceAndWaitForTheirLayers([Values(1, 3, 40)] int layers)
    {
        var random = new Random(layers);
        int[] lengths = new int[3];
        var parts = new List<(int Buffer, int From, int Count, int Layer)>();
        for (int i = 0; i < 200; i++)
        {
            (int buffer, int count) = (random.Next(lengths.Length), random.Next(1, 2000));
            parts.Add((buffer, lengths[buffer], count, i % 50 == 0 ? GradientSums.NoLayer : i * layers / 200));
            lengths[buffer] += (count + 63) / 64 * 64;
        }

        IReadOnlyList<(int Buffer, int From, int Count, int Layer)> buckets = GradientSums.Cut(lengths, parts);
        Assert.That(buckets.Select(bucket => bucket.Layer), Is.Ordered.Descending);
        Assert.That(buckets, Has.Count.GreaterThan(4));
        int[][] covered = [.. lengths.Select(length => new int[length])];
        foreach ((int buffer, int from, int count, int layer) in buckets)
        {
            for (int i = from; i < from + count; i++)
                covered[buffer][i]++;
            foreach ((int Buffer, int From, int Count, int Layer) part in parts)
            {
                bool isIn = part.Buffer == buffer && part.From < from + count && part.From + part.Count > from;
                Assert.That(!isIn || layer <= part.Layer, $"a bucket of layer {layer} has gradients of {part.Layer}");
            }
        }

        Assert.That(covered.SelectMany(times => times), Is.All.EqualTo(1));
    }

    private void AssertFinal(CausalLanguageModel model, bool checkpointing)
    {
        ParameterSet set = model.Trainable!;
        set.EnableGradients();
        var seen = new Dictionary<Parameter, float[]>();
        var passed = new List<int>();
        using BatchTensors batch = new(Device, Batch.Create(TinyModels.Records(3, model.Config, new Random(1)), 0));
        using (Tape tape = new(Device) { Passed = Leave })
        {
            using Tensor loss = model.Loss(tape, batch, 1, checkpointing);
            tape.Backward();
        }

        Assert.That(passed, Is.EqualTo(Enumerable.Range(0, model.Config.Layers).Reverse()));
        foreach ((Parameter parameter, float[] values) in seen)
            Assert.That(parameter.Gradient!.ToArray(), Is.EqualTo(values), parameter.Name);

        void Leave(int layer)
        {
            passed.Add(layer);
            foreach (Parameter parameter in set.Parameters.Where(parameter => model.LayerOf(parameter.Name) == layer))
                seen.Add(parameter, parameter.Gradient!.ToArray());
        }
    }
}
