using System.Globalization;
using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Settings;

namespace Spectral.Training.Compression;

/// <summary>Stores the change that tuning made to a model in less space, by one of the methods.</summary>
/// <example>
/// <code>
/// CompressionMethod squeeze = CompressionMethods.Find("lora-squeeze");
/// var options = new CompressionOptions { Energy = 0.95 };
/// CompressionResult made = Compressor.Compress(squeeze, adapterPath, outputPath, options, device);
/// </code>
/// </example>
public static class Compressor
{
    /// <summary>Compresses the folder of an adapter or of a tuned model and writes the result.</summary>
    /// <param name="method">The method.</param>
    /// <param name="input">The folder to compress.</param>
    /// <param name="output">An existing folder for the result.</param>
    /// <param name="options">The settings.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="model">
    /// The base model; null if neither the method (<see cref="CompressionMethod.NeedsModel"/>) nor the input needs it.
    /// </param>
    /// <param name="progress">Told of each layer that is done; null: nobody.</param>
    /// <param name="cancellation">Checked between layers.</param>
    /// <returns>What was written, with sizes and errors.</returns>
    /// <exception cref="InputException">
    /// An option is out of range or not the method's, the input is malformed or not of the kind that the method
    /// compresses, or a value is not finite or too large for the stored type.
    /// </exception>
    public static CompressionResult Compress(
        CompressionMethod method,
        string input,
        string output,
        CompressionOptions options,
        Device device,
        ModelFolder? model = null,
        Action<CompressionProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        Require(method, options);
        if (method.NeedsModel && model is null)
            throw new InputException($"{method.Name} compresses a change of the base's weights: expected --model");
        return method.Write(new CompressionRun(method, input, output, options, device, model, progress, cancellation));
    }

    private static void Require(CompressionMethod method, CompressionOptions options)
    {
        if (options.Rank is not null && !method.Uses.HasFlag(CompressionUses.Rank))
            throw new InputException($"rank {options.Rank}: {method.Name} keeps no rank");
        if (options.Energy is { } unused && !method.Uses.HasFlag(CompressionUses.Energy))
            throw new InputException($"energy {Text(unused)}: {method.Name} keeps no share of energy");
        if (options is { Rank: not null, Energy: not null })
            throw new InputException("a rank and an energy are given, expected one of the two");
        if (options.Rank is < 1)
            throw new InputException($"rank {options.Rank}: expected at least 1");
        if (options.Energy is not (null or (> 0 and <= 1)))
            throw new InputException($"energy {Text(options.Energy.Value)}: expected above 0, at most 1");
        GivenSettings.Require(method, options.Settings);
        if (options.Data.Count > 0 && !method.Uses.HasFlag(CompressionUses.Data))
            throw new InputException($"{method.Name} looks at weights alone, expected no data");
    }

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);
}
