using System.Numerics.Tensors;
using Spectral.Cli.Output;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Cli.Continual;

/// <summary>
/// The adapter that is evaluated with --interpolate: θ̄ ← a·θ̄ + (1 − a)·θ after each task, θ̄ = θ after the first.
/// What is trained on is θ. Stojanovski et al., "Momentum-based Weight Interpolation of Strong Zero-Shot Models for
/// Continual Learning", 2022, arXiv 2211.03186.
/// </summary>
/// <remarks>Each factor is averaged by itself: the product of averages is not the average of the products.</remarks>
internal static class TaskAverage
{
    private const string Name = "average";

    /// <summary>Returns the folder of the average after a task, given that of the task.</summary>
    public static string PathOf(string task) => Path.Combine(task, Name);

    /// <summary>Writes the average after a task, unless it is there already.</summary>
    /// <param name="model">The model of the adapters, which has none attached.</param>
    /// <param name="before">The folder of the average before.</param>
    /// <param name="task">The folder of the task.</param>
    /// <param name="share">The share a of the average that stays.</param>
    /// <exception cref="InputException">The two adapters have other factors.</exception>
    public static void Write(CausalLanguageModel model, string before, string task, double share)
    {
        if (Directory.Exists(PathOf(task)))
            return;
        Dictionary<string, float[]> earlier;
        using (var average = Adapter.Load(model, before))
            earlier = average.Parameters.Parameters.ToDictionary(each => each.Name, each => each.ToArray());
        using var latest = Adapter.Load(model, task);
        foreach (Parameter parameter in latest.Parameters.Parameters)
        {
            float[] values = parameter.ToArray();
            if (!earlier.TryGetValue(parameter.Name, out float[]? held) || held.Length != values.Length)
            {
                throw new InputException(
                    $"--interpolate: {parameter.Name} has another size after this task than after the one before"
                );
            }

            TensorPrimitives.Multiply(values, (float)(1 - share), values);
            TensorPrimitives.MultiplyAdd(held, (float)share, values, values);
            parameter.Master.CopyFrom(values);
        }

        latest.Parameters.NotifyChanged();
        using var output = new OutputFolder(PathOf(task), overwrite: false);
        output.Claim();
        output.Fill(latest.Save);
    }
}
