using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Models;
using Spectral.Training.Planning;
using Spectral.Training.Quantization;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Quantization;

/// <summary>What a model of eight billion weights takes in 4 bits.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class QuantizedMemoryTests(DeviceKind kind) : TrainingTest(kind)
{
    private const long Most = 6_000_000_000;

    /// <summary>The sizes of Llama 3 8B, as its config.json has them.</summary>
    private static readonly ModelConfig Large = new()
    {
        ModelType = "llama",
        VocabularySize = 128256,
        HiddenSize = 4096,
        IntermediateSize = 14336,
        Layers = 32,
        Heads = 32,
        KeyValueHeads = 8,
        HeadDimension = 128,
        RmsNormEpsilon = 1e-5,
        MaxPositions = 8192,
        EosTokenIds = [0],
    };

    private static readonly BaseQuantization Double = new(WeightFormat.Nf4, Double: true);

    /// <summary>
    /// Rehearsed: every tensor of the whole model is allocated, and none of them has memory behind it.
    /// </summary>
    [Test]
    public void EightBillionWeightsAndALoraTakeLessThanSixGigabytes()
    {
        using Device rehearsal = Device.Rehearse();
        using var model = CausalLanguageModel.Unset(Large, rehearsal, DType.BF16, quantization: Double);
        using var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), new AdapterOptions { Rank = 8 });
        adapter.Parameters.EnableGradients();
        long linears = Large.ParameterCount - (2L * Large.VocabularySize * Large.HiddenSize);
        Assert.Multiple(() =>
        {
            Assert.That(Large.ParameterCount, Is.EqualTo(8_030_261_248), "the published number");
            Assert.That(rehearsal.Memory.InUse, Is.LessThan(Most));
            // 4.127 bits of each weight and 16 of each number of embedding and head, and nothing of the kind twice.
            Assert.That(
                model.Bytes,
                Is.EqualTo((4.127 / 8 * linears) + (4.0 * Large.VocabularySize * 4096)).Within(0.1).Percent
            );
        });
    }

    /// <summary>
    /// A folder of that size with one layer, read for real: the same bits per weight, and on the way no more in F32
    /// than a piece of one matrix.
    /// </summary>
    [Test]
    public void AFolderIsReadPieceByPiece()
    {
        ModelConfig config = Large with { Layers = 1, VocabularySize = 256 };
        HollowModel.Write(config, Folder.Path);
        using var folder = ModelFolder.Open(Folder.Path, quantization: Double);
        Device.Memory.ResetPeak();
        long before = Device.Memory.InUse;
        using var model = CausalLanguageModel.Load(folder, Device, DType.BF16);
        long others = 2L * config.VocabularySize * config.HiddenSize;
        double expected = (4.127 / 8 * (config.ParameterCount - others)) + (2.0 * others);
        Assert.Multiple(() =>
        {
            Assert.That(model.Bytes, Is.EqualTo(expected).Within(0.5).Percent);
            Assert.That(Device.Memory.Peak - before, Is.LessThan(expected + (64 << 20)));
        });
    }

    /// <summary>
    /// The plan counts blocks of memory, an eighth and half a kilobyte larger than the tensors in them at most. A real
    /// device may give a tensor a block that another one has left, so that it is no measure.
    /// </summary>
    [Test]
    public void ThePlanKnowsIt()
    {
        ModelConfig config = TinyModels.Llama with { HiddenSize = 256, IntermediateSize = 512, HeadDimension = 64 };
        PlannedRun run = new(config, DType.F32, new TrainerOptions { Batch = 1 }, Length: 8)
        {
            Method = AdapterMethods.Find("lora"),
            Quantization = Double,
        };
        long planned = MemoryPlanner.Plan(run, Device).Weights;
        using CausalLanguageModel model = TinyModels.Frozen(config, Device, Folder, quantization: Double);
        // Codes of weights and of scales, largest scales, two tables: five tensors of each of 14 linear layers.
        long tensors = ModelTensors.For(config).Count() + (4 * 7 * 2);
        Assert.That(planned, Is.InRange(model.Bytes, (model.Bytes * 9 / 8) + (512 * tensors)));
    }
}
