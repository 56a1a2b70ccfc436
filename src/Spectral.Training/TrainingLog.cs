using System.Security.Cryptography;
using System.Text.Json;

namespace Spectral.Training;

/// <summary>Writes <c>train_log.jsonl</c>: one object per optimizer step, in the file as soon as the step is done. What is not finite is null.</summary>
public sealed class TrainingLog : ITrainerCallback, IDisposable
{
    private readonly FileStream _file;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>Starts a log, replacing one that is there, or goes on with it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="kept">Bytes of it that stay, all that a checkpoint knew of; what stands behind them is cut off.</param>
    /// <exception cref="InputException">There are not as many.</exception>
    public TrainingLog(string path, long kept = 0)
    {
        _file = new FileStream(path, kept == 0 ? FileMode.Create : FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            var buffer = new byte[1 << 16];
            for (int read; _file.Position < kept; _hash.AppendData(buffer, 0, read))
                if ((read = _file.Read(buffer, 0, (int)Math.Min(buffer.Length, kept - _file.Position))) == 0)
                    throw new InputException($"{path}: {_file.Length} bytes, expected the {kept} that a checkpoint goes on from");
            _file.SetLength(kept);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Bytes written.</summary>
    public long Length => _file.Position;

    /// <summary>SHA-256 of all that is written, in lower-case hexadecimal: it tells this log from another of the same length.</summary>
    public string Sha256 => Convert.ToHexStringLower(_hash.GetCurrentHash());

    /// <inheritdoc/>
    public void OnStep(StepReport report)
    {
        using var line = new MemoryStream();
        using (var json = new Utf8JsonWriter(line))
        {
            json.WriteStartObject();
            json.WriteNumber("step", report.Step);
            Number("loss", report.Loss);
            json.WriteNumber("lr", report.LearningRate);
            Number("grad_norm", report.GradientNorm);
            json.WriteNumber("tokens", report.Tokens);
            json.WriteNumber("tokens_per_second", report.TokensPerSecond);
            json.WriteEndObject();

            void Number(string name, double value)
            {
                if (double.IsFinite(value))
                    json.WriteNumber(name, value);
                else
                    json.WriteNull(name);
            }
        }
        line.WriteByte((byte)'\n');
        var bytes = line.GetBuffer().AsSpan(0, (int)line.Length);
        _file.Write(bytes);
        _file.Flush();
        _hash.AppendData(bytes);
    }

    /// <summary>Waits until all that is written is on the disk.</summary>
    public void Flush() => _file.Flush(flushToDisk: true);

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        _hash.Dispose();
    }
}
