using Spectral.Cli.Options;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Models;

namespace Spectral.Cli.Merging;

/// <summary>
/// Measures models of one base on the tasks of <c>merge --eval</c>, with one in device memory at a time.
/// </summary>
/// <param name="inputs">The base.</param>
/// <param name="device">The device to compute on.</param>
/// <param name="tasks">The tasks.</param>
/// <param name="batch">The number of records in a batch.</param>
/// <param name="cancellation">Checked between batches.</param>
internal sealed class MergeScorer(
    ModelInputs inputs,
    Device device,
    IReadOnlyList<MergeTask> tasks,
    int batch,
    CancellationToken cancellation
)
{
    /// <summary>Measures the model in a folder, or the base with the adapter in it.</summary>
    public MergeScore Measure(string name, string directory)
    {
        bool isAdapter = File.Exists(Path.Combine(directory, "adapter_config.json"));
        DType type = DeviceOptions.UsualType(device);
        using ModelFolder? folder = isAdapter ? null : ModelFolder.Open(directory);
        using CausalLanguageModel model = folder is null
            ? inputs.Load(device, type)
            : CausalLanguageModel.Load(folder, device, type);
        using Adapter? adapter = isAdapter ? Adapter.Load(model, directory) : null;
        return new MergeScore(
            name,
            [
                .. tasks.Select(task =>
                    Evaluator.Evaluate(model, task.Records, batch, exactMatch: true, cancellation: cancellation)
                ),
            ]
        );
    }
}
