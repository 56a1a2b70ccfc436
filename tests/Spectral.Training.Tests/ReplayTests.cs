using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests;

/// <summary>
/// A run on the CPU device, large enough for several blocks and tiles per kernel, gives the same bits however its
/// threads are scheduled.
/// </summary>
[NonParallelizable]
public sealed class ReplayTests
{
    private static readonly ModelConfig Config = TinyModels.Llama with
    {
        VocabularySize = 1100,
        HiddenSize = 160,
        IntermediateSize = 272,
        Heads = 5,
        KeyValueHeads = 1,
        HeadDimension = 32,
        InitializerRange = 0.08,
    };

    [TearDown]
    public void Restore() => Device.Cpu(new CpuDeviceOptions { Threads = 0, Seed = 0 }).Dispose();

    [Test]
    public void LossesAndWeightsDependNeitherOnThreadsNorOnTheirOrder()
    {
        (double[] losses, float[] weights) expected = Run(new CpuDeviceOptions { Threads = 1, Seed = 0 });
        foreach (
            CpuDeviceOptions options in new[]
            {
                new CpuDeviceOptions { Threads = 2, Seed = 0 },
                new() { Threads = 5, Seed = 0 },
                new() { Threads = 2, Seed = 77 },
            }
        )
        {
            (double[] losses, float[] weights) actual = Run(options);
            Assert.That(actual.losses, Is.EqualTo(expected.losses), $"{options}");
            Assert.That(actual.weights, Is.EqualTo(expected.weights), $"{options}");
        }
    }

    private static (double[] Losses, float[] Weights) Run(CpuDeviceOptions options)
    {
        using var device = Device.Cpu(options);
        using TemporaryFolder folder = new();
        using CausalLanguageModel model = TinyModels.Frozen(Config, device, folder);
        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find("speclora"),
            new AdapterOptions { Rank = 4, TopK = 3 }
        );
        using Trainer trainer = new(model, new TrainerOptions());
        EncodedRecord[] records = TinyModels.Records(12, Config, new Random(5), longest: 50);
        double[] losses =
        [
            .. Enumerable.Range(1, 3).Select(step => trainer.Step(step, [Batch.Create(records)], 1e-3).Loss),
        ];
        return (losses, [.. adapter.Parameters.Masters.SelectMany(master => master.ToArray())]);
    }
}
