using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Training.Forgetting;

/// <summary>The forgetting of a run: its checkpoints on old data, and the laws fitted to them.</summary>
/// <param name="BaseLoss">The mean loss per token of the base model on the old data.</param>
/// <param name="BaseTaskLoss">The same on the data of the new task; null if there are none.</param>
/// <param name="Points">The checkpoints, by step.</param>
/// <param name="Laws">The laws for which there are enough checkpoints.</param>
public sealed record ForgettingCurve(
    double BaseLoss,
    double? BaseTaskLoss,
    IReadOnlyList<ForgettingPoint> Points,
    IReadOnlyList<FittedLaw> Laws
)
{
    private const string AdapterConfig = "adapter_config.json";

    /// <summary>Evaluates all checkpoints of a run, one after another, and fits the laws.</summary>
    /// <param name="folder">The base model's folder.</param>
    /// <param name="model">The base model, loaded, without an adapter; it has none again afterwards.</param>
    /// <param name="checkpoints">The folders of the checkpoints, adapters or whole models, with their steps.</param>
    /// <param name="old">Records of old data, on which the base model is good.</param>
    /// <param name="task">Records of the new task; null to leave them out.</param>
    /// <param name="progress">Receives the number of models done, the base included.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="InputException">A checkpoint cannot be opened or belongs to another model.</exception>
    public static ForgettingCurve Measure(
        ModelFolder folder,
        CausalLanguageModel model,
        IReadOnlyList<(int Step, string Directory)> checkpoints,
        IReadOnlyList<EncodedRecord> old,
        IReadOnlyList<EncodedRecord>? task,
        Action<int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        double before = Loss(model, old)!.Value;
        double? taskBefore = Loss(model, task);
        progress?.Invoke(1);
        var points = new List<ForgettingPoint>();
        foreach ((int step, string directory) in checkpoints.OrderBy(checkpoint => checkpoint.Step))
        {
            points.Add(
                File.Exists(Path.Combine(directory, AdapterConfig))
                    ? OfAdapter(step, directory)
                    : OfModel(step, directory)
            );
            progress?.Invoke(points.Count + 1);
        }
        FittedLaw?[] laws = [LawFit.InSteps(points), LawFit.InUpdate(points), LawFit.InTaskLoss(points)];
        return new ForgettingCurve(before, taskBefore, points, [.. laws.OfType<FittedLaw>()]);

        ForgettingPoint OfAdapter(int step, string directory)
        {
            double update = UpdateOf(folder, directory, model.Device);
            using var adapter = Adapter.Load(model, directory);
            return Point(step, model, update);
        }

        ForgettingPoint OfModel(int step, string directory)
        {
            using var tuned = ModelFolder.Open(directory);
            using var loaded = CausalLanguageModel.Load(tuned, model.Device, model.DType);
            return Point(step, loaded, UpdateOf(folder, tuned));
        }

        ForgettingPoint Point(int step, CausalLanguageModel tuned, double update)
        {
            double loss = Loss(tuned, old)!.Value;
            return new ForgettingPoint(step, loss, loss - before, update, Loss(tuned, task));
        }

        double? Loss(CausalLanguageModel evaluated, IReadOnlyList<EncodedRecord>? records) =>
            records is null
                ? null
                : Evaluator.Evaluate(evaluated, records, exactMatch: false, cancellation: cancellation).Loss;
    }

    /// <summary>Computes ‖Δ‖_F / ‖W0‖_F of an adapter over its layers.</summary>
    private static double UpdateOf(ModelFolder folder, string directory, Device device)
    {
        using var adapter = new AdapterReader(directory, folder);
        Merger.RequireMergeable(adapter, directory);
        return Ratio(
            adapter.Modules.Select(module =>
                (
                    folder.Untied($"{module.Shape.Name}.weight").ToFloats(),
                    Merger.MergedWeight(folder, adapter, module, device)
                )
            )
        );
    }

    /// <summary>Computes ‖Δ‖_F / ‖W0‖_F of a tuned model over its linear layers.</summary>
    private static double UpdateOf(ModelFolder folder, ModelFolder tuned) =>
        Ratio(
            ModelTensors
                .Linears(folder.Config)
                .Select(layer => (folder[layer.Weight].ToFloats(), Same(tuned[layer.Weight], folder[layer.Weight])))
        );

    private static float[] Same(SafetensorsTensor tuned, SafetensorsTensor before) =>
        tuned.Shape.SequenceEqual(before.Shape)
            ? tuned.ToFloats()
            : throw new InputException(
                $"{tuned.Path}: tensor {tuned.Name} is {InputText.Shape([.. tuned.Shape])}; expected "
                    + $"{InputText.Shape([.. before.Shape])} as in {before.Path}"
            );

    private static double Ratio(IEnumerable<(float[] Before, float[] After)> weights)
    {
        double changes = 0;
        double squares = 0;
        foreach ((float[] before, float[] after) in weights)
        {
            for (int i = 0; i < before.Length; i++)
            {
                double change = (double)after[i] - before[i];
                changes += change * change;
                squares += (double)before[i] * before[i];
            }
        }
        return Math.Sqrt(changes / squares);
    }
}
