using Spectral.Cli.Options;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Routing;

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
    private readonly DType _type = DeviceOptions.UsualType(device);

    /// <summary>Measures the model in a folder, or the base with the adapter or the experts in it.</summary>
    public MergeScore Measure(string name, string directory)
    {
        if (ExpertFolder.IsOne(directory))
        {
            var experts = ExpertFolder.Open(directory);
            using CausalLanguageModel routed = inputs.Load(device, _type);
            return Measure(
                name,
                records =>
                    RoutedEvaluator
                        .Evaluate(routed, experts, records, batch, exactMatch: true, cancellation: cancellation)
                        .Result
            );
        }

        bool isAdapter = File.Exists(Path.Combine(directory, "adapter_config.json"));
        using ModelFolder? folder = isAdapter ? null : ModelFolder.Open(directory);
        using CausalLanguageModel model = folder is null
            ? inputs.Load(device, _type)
            : CausalLanguageModel.Load(folder, device, _type);
        using Adapter? adapter = isAdapter ? Adapter.Load(model, directory) : null;
        return Measure(
            name,
            records => Evaluator.Evaluate(model, records, batch, exactMatch: true, cancellation: cancellation)
        );
    }

    private MergeScore Measure(string name, Func<IReadOnlyList<EncodedRecord>, EvaluationResult> measure) =>
        new(name, [.. tasks.Select(task => measure(task.Records))]);
}
