using System.Text.Json;

namespace Spectral.Training;

/// <summary>Writes <c>train_log.jsonl</c>: one object per optimizer step, on disk as soon as the step is done.</summary>
public sealed class TrainingLog : ITrainerCallback, IDisposable
{
    private readonly FileStream _file;

    /// <summary>Starts a new log, replacing one that is there.</summary>
    public TrainingLog(string path)
    {
        _file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read);
    }

    /// <inheritdoc/>
    public void OnStep(StepReport report)
    {
        using (var json = new Utf8JsonWriter(_file))
        {
            json.WriteStartObject();
            json.WriteNumber("step", report.Step);
            json.WriteNumber("loss", report.Loss);
            json.WriteNumber("lr", report.LearningRate);
            json.WriteNumber("grad_norm", report.GradientNorm);
            json.WriteNumber("tokens", report.Tokens);
            json.WriteNumber("tokens_per_second", report.TokensPerSecond);
            json.WriteEndObject();
        }
        _file.WriteByte((byte)'\n');
        _file.Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
