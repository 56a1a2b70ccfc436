using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>
/// Converts any adapter whose form is low-rank terms only into an exactly equivalent plain LoRA, which every program
/// that reads PEFT folders can load: <c>lora_A = [R1; R2; …]</c>, <c>lora_B = [s1·L1·diag(c1), s2·L2·diag(c2), …]</c>,
/// alpha = r, so that the scale is 1.
/// </summary>
/// <example>
/// <code>
/// using var folder = ModelFolder.Open(modelPath); // for methods whose factors depend on the base weight
/// int tensors = LoraExporter.Export(adapterPath, outputPath, device, folder);
/// </code>
/// </example>
public static class LoraExporter
{
    /// <summary>
    /// Writes the adapter in <paramref name="adapterDirectory"/> as a plain LoRA to <paramref name="outputDirectory"/>.
    /// </summary>
    /// <remarks>
    /// Modules of smaller rank are padded with zeros, so that all have the same rank: not every program knows
    /// rank_pattern.
    /// </remarks>
    /// <param name="adapterDirectory">The folder of the adapter.</param>
    /// <param name="outputDirectory">An existing folder for the result.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="model">The base model; null if the adapter's terms do not depend on it.</param>
    /// <param name="type">The type to store: F32, F16 or BF16.</param>
    /// <returns>The number of tensors written.</returns>
    /// <exception cref="InputException">
    /// The adapter is malformed, has no equivalent plain LoRA, or needs the base model; or a value is not finite, or
    /// too large for the type.
    /// </exception>
    public static int Export(
        string adapterDirectory,
        string outputDirectory,
        Device device,
        ModelFolder? model = null,
        StoredType type = StoredType.F32
    )
    {
        using PlainLoraConversion adapter = new(adapterDirectory, device, model);
        int rank = adapter.Modules.Max(module => module.Form.Rank);
        return adapter.Write(outputDirectory, type, [.. adapter.Modules.Select(module => adapter.Same(module, rank))]);
    }
}
