using Spectral.Kernels;
using Spectral.Training.Models;
using Spectral.Training.Packing;

namespace Spectral.Training.Compression;

/// <summary>One compression: what a method reads, and where it writes.</summary>
/// <param name="Method">The method.</param>
/// <param name="Input">The folder to compress.</param>
/// <param name="Output">An existing folder for the result.</param>
/// <param name="Options">The settings, already checked against the method.</param>
/// <param name="Device">The device to compute on.</param>
/// <param name="Model">The base model; null if it is not given.</param>
/// <param name="Progress">Told of each layer that is done; null: nobody.</param>
/// <param name="Cancellation">Checked between layers.</param>
internal sealed record CompressionRun(
    CompressionMethod Method,
    string Input,
    string Output,
    CompressionOptions Options,
    Device Device,
    ModelFolder? Model,
    Action<CompressionProgress>? Progress,
    CancellationToken Cancellation
)
{
    /// <summary>Returns the value of one of the method's settings.</summary>
    public double Setting(string name) => Method.ValueOf(name, Options.Settings);

    /// <summary>Returns the share of a squared norm in another, as a ratio of norms; 0 of nothing.</summary>
    public static double Share(double lost, double all) => all > 0 ? Math.Sqrt(lost / all) : 0;

    /// <summary>Returns what a packed result says of its origin.</summary>
    /// <param name="digests">The SHA-256 of the base's tensors whose change is packed, by name; null: none.</param>
    public PackedDescription Description(IReadOnlyDictionary<string, string>? digests = null) =>
        new(
            Method.Name,
            Method.Settings.ToDictionary(setting => setting.Name, setting => Setting(setting.Name)),
            digests ?? new Dictionary<string, string>()
        );

    /// <summary>Measures the written files and returns the result.</summary>
    public CompressionResult Result(
        IReadOnlyList<CompressedLayer> layers,
        double error,
        int tensors,
        IReadOnlyList<string> warnings
    )
    {
        double dense = layers.Sum(layer => (double)layer.Outputs * layer.Inputs);
        double bits = layers.Sum(layer => layer.Bits * layer.Outputs * layer.Inputs);
        return new CompressionResult(layers, error, SizeOf(Input), SizeOf(Output), bits / dense, tensors)
        {
            Warnings = warnings,
        };
    }

    // The description of packed tensors is needed to read them, so that it counts.
    private static long SizeOf(string directory) =>
        new DirectoryInfo(directory)
            .EnumerateFiles()
            .Where(file => file.Extension == ".safetensors" || file.Name == PackedFolder.DescriptionFile)
            .Sum(file => file.Length);
}
