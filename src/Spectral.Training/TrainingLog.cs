using System.Security.Cryptography;
using System.Text.Json;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Objectives;
using Spectral.Training.Optim;

namespace Spectral.Training;

/// <summary>
/// Writes <c>train_log.jsonl</c>: one object per optimizer step, flushed to the file when the step is done. With groups
/// that are clipped apart it has the norm of each, with pairs their rewards and accuracy, and with routers of an
/// adapter their load (<see cref="RouterReport"/>). Values that are not finite are written as null.
/// </summary>
public sealed class TrainingLog : ITrainerCallback, IDisposable
{
    private readonly FileStream _file;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>Starts a new log and replaces an existing one.</summary>
    public TrainingLog(string path) => _file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read);

    /// <summary>Continues a log. Everything after the part that a checkpoint covers is cut off.</summary>
    /// <param name="path">The log's file.</param>
    /// <param name="length">The <see cref="Length"/> of that part.</param>
    /// <param name="sha256">The <see cref="Sha256"/> of that part.</param>
    /// <exception cref="InputException">The file does not begin with that part. Nothing is changed then.</exception>
    public TrainingLog(string path, long length, string sha256)
    {
        try
        {
            _file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        }
        catch (FileNotFoundException error)
        {
            throw new InputException($"{path}: no such file, expected the log that a checkpoint goes on with", error);
        }
        try
        {
            byte[] buffer = new byte[1 << 16];
            for (
                int read;
                Length < length && (read = _file.Read(buffer, 0, (int)Math.Min(buffer.Length, length - Length))) > 0;

            )
            {
                _hash.AppendData(buffer, 0, read);
            }

            if (Length != length || Sha256 != sha256)
            {
                throw new InputException(
                    $"{path}: not the log that the checkpoint goes on with, which has {length} bytes with "
                        + $"the SHA-256 {sha256}"
                );
            }

            _file.SetLength(length);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The number of bytes written.</summary>
    public long Length => _file.Position;

    /// <summary>
    /// The SHA-256 of everything written, in lower-case hexadecimal. It distinguishes this log from another of the same
    /// length.
    /// </summary>
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
            if (report.Groups is { } groups)
            {
                json.WriteStartObject("group_norms");
                foreach (GroupNorm group in groups)
                    Number(group.Group, group.Norm);
                json.WriteEndObject();
            }

            if (report.PairScores is { } scores)
            {
                foreach ((string name, double value) in PairScores.Names.Zip(scores.Values()))
                    Number(name, value);
            }

            if (report.TrainedTensors is { } trained)
                json.WriteNumber("trained_tensors", trained);
            if (report.Routers is { } routers)
            {
                foreach ((string name, double value) in RouterReport.Names.Zip(routers.Values()))
                    Number(name, value);
            }

            if (report.BytesSent is { } sent)
                json.WriteNumber("bytes_sent", sent);
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
        Span<byte> bytes = line.GetBuffer().AsSpan(0, (int)line.Length);
        _file.Write(bytes);
        _file.Flush();
        _hash.AppendData(bytes);
    }

    /// <summary>Waits until everything written is on the disk.</summary>
    public void Flush() => _file.Flush(flushToDisk: true);

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        _hash.Dispose();
    }
}
