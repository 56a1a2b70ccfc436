using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// Writes a model folder whose weights are zero and take no space on disk, so that models of real size can be read.
/// </summary>
internal static class HollowModel
{
    /// <summary>Writes config.json and model.safetensors with BF16 weights.</summary>
    public static void Write(ModelConfig config, string directory)
    {
        config.Save(directory);
        SafetensorsWriter.Write(
            Path.Combine(directory, "model.safetensors"),
            [
                .. ModelTensors
                    .For(config)
                    .Select(tensor => new TensorToWrite(
                        tensor.Name,
                        StoredType.BF16,
                        [.. tensor.Shape],
                        stream => Skip(stream, 2 * tensor.Count)
                    )),
            ]
        );
    }

    private static void Skip(Stream stream, long bytes)
    {
        stream.Flush();
        stream.SetLength(stream.Position + bytes);
        stream.Seek(0, SeekOrigin.End);
    }
}
