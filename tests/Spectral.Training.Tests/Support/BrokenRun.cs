using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// A run of LoRA in four steps that is broken off after two, saved, and gone on with in another model.
/// </summary>
internal static class BrokenRun
{
    /// <summary>Checks that what trains ends with the bits of a run without a break.</summary>
    public static void MustEndWithTheSameBits(
        ModelConfig config,
        Device device,
        TemporaryFolder folder,
        DType type,
        AdapterOptions options,
        bool graph
    )
    {
        TrainerOptions training = new()
        {
            Steps = 4,
            Batch = 2,
            Accumulate = 2,
            LearningRate = 1e-2,
            Seed = 3,
            LogEvery = 0,
            CudaGraph = graph,
            Optimizer = new AdamWOptions { GradientClip = 0.1 },
        };
        EncodedRecord[] records = TinyModels.Records(9, config, new Random(31));
        AdapterMethod lora = AdapterMethods.Find("lora");
        string state = folder.File("state.safetensors");
        float[][] expected;
        using (CausalLanguageModel model = TinyModels.Frozen(config, device, folder, type))
        using (var adapter = Adapter.Attach(model, lora, options))
        using (Trainer trainer = new(model, training))
        {
            trainer.Run(records, callbacks: [new SaveAt(2, () => trainer.Save(state))]);
            expected = Values(adapter);
        }
        using var opened = TrainerState.Open(state);
        using var saved = ModelFolder.Open(folder.Path);
        using var fresh = CausalLanguageModel.Load(saved, device, type);
        using Adapter restored = opened.RestoreAdapter(fresh, lora, options);
        using Trainer again = new(fresh, training);
        again.Restore(opened);
        again.Run(records);
        Assert.That(Values(restored), Is.EqualTo(expected));
    }

    private static float[][] Values(Adapter adapter) =>
        [.. adapter.Parameters.Parameters.Select(parameter => parameter.ToArray())];

    private sealed class SaveAt(int step, Action save) : ITrainerCallback
    {
        public void OnStepEnd(int done, bool isLast)
        {
            if (done == step)
                save();
        }
    }
}
