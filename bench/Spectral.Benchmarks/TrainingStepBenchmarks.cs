using BenchmarkDotNet.Attributes;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Benchmarks;

/// <summary>
/// A whole optimizer step (forward, backward, clipping, AdamW) of a Llama with hidden 512, intermediate 1376, 6 layers,
/// 8 heads, 4 K/V heads and a vocabulary of 1024, on a batch of 4 × 256 tokens that all carry loss, adapters on all
/// seven projections.
/// </summary>
[MemoryDiagnoser]
public class TrainingStepBenchmarks
{
    private const int Vocabulary = 1024;
    private const int Rows = 4;
    private const int Length = 256;

    private Device _device = null!;
    private CausalLanguageModel _model = null!;
    private Adapter _adapter = null!;
    private Trainer _trainer = null!;
    private Batch _batch = null!;
    private int _step;

    [Params("lora", "speclora")]
    public string Method { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        _device = Device.Best();
        var config = new ModelConfig
        {
            ModelType = "llama",
            VocabularySize = Vocabulary,
            HiddenSize = 512,
            IntermediateSize = 1376,
            Layers = 6,
            Heads = 8,
            KeyValueHeads = 4,
            HeadDimension = 64,
        };
        string folder = Directory.CreateTempSubdirectory("spectral-bench").FullName;
        using (var fresh = CausalLanguageModel.Initialize(config, _device, DType.F32, seed: 1))
            fresh.Save(folder, tokenizerSource: null);
        using (var files = ModelFolder.Open(folder))
            _model = CausalLanguageModel.Load(files, _device, _device.Kind == DeviceKind.Cpu ? DType.F32 : DType.BF16);
        Directory.Delete(folder, recursive: true);
        _adapter = Adapter.Attach(_model, AdapterMethods.Find(Method), new AdapterOptions());
        _trainer = new Trainer(_model, new TrainerOptions());
        var random = new Random(1);
        _batch = Batch.Create([
            .. Enumerable
                .Range(0, Rows)
                .Select(_ => new EncodedRecord(
                    [.. Enumerable.Range(0, Length + 1).Select(_ => random.Next(Vocabulary))],
                    1,
                    1,
                    Cut: false
                )),
        ]);
        double first = Step();
        for (int i = 0; i < 5; i++)
            Step();
        double last = Step();
        if (!(last < first && first > 6 && first < 8))
            throw new InvalidOperationException($"the loss went from {first} to {last}: not worth timing");
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _trainer.Dispose();
        _adapter.Dispose();
        _model.Dispose();
        _device.Dispose();
    }

    [Benchmark]
    public double Step() => _trainer.Step(++_step, [_batch], learningRate: 1e-3).Loss;
}
