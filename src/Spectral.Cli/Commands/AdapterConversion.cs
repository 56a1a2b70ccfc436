using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Gguf.Export;

namespace Spectral.Cli.Commands;

/// <summary>
/// What <c>merge</c> and <c>export</c> share: both read an adapter and write tensors, to a folder or to a GGUF file.
/// </summary>
/// <param name="adapterHelp">What is done with the adapter.</param>
/// <param name="outHelp">What is written.</param>
/// <param name="type">The types of the result.</param>
/// <param name="format">The option with what is written.</param>
/// <param name="gguf">Its value for a GGUF file.</param>
internal sealed class AdapterConversion(
    string adapterHelp,
    string outHelp,
    ResultTypeOption type,
    Option<string> format,
    string gguf
)
{
    public Option<string> Adapter { get; } = OptionTypes.RequiredPath("--adapter", adapterHelp, "DIR");

    public Option<string> Out { get; } =
        OptionTypes.RequiredPath("--out", $"{outHelp} With --format {gguf} a file.", "PATH");

    public Option<bool> Overwrite { get; } =
        OptionTypes.Flag("--overwrite", "Replace files in --out if it is not empty.");

    public Option<string> Format { get; } = format;

    public ResultTypeOption Type { get; } = type;

    public DeviceOptions Device { get; } = new();

    /// <summary>The options on what is written and where it is computed.</summary>
    public Option[] Result => [Out, Overwrite, Type.Option, .. Device.WithoutType];

    /// <summary>Returns whether the result is a GGUF file.</summary>
    public bool IsGguf(CommandContext context) => context.Get(Format) == gguf;

    /// <summary>Returns the folder or file to write, which is none of those read.</summary>
    /// <exception cref="Training.IO.InputException">It may not be written to.</exception>
    public IOutput Target(CommandContext context, params ReadOnlySpan<string?> read) =>
        IsGguf(context)
            ? new OutputFile("--out", context.Get(Out), context.Get(Overwrite), read)
            : new OutputFolder(context.Get(Out), context.Get(Overwrite), read);

    /// <summary>Writes the result whole or not at all, and prints what was written.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="target">The folder or file.</param>
    /// <param name="write">Writes into a folder, or a file, on a device and returns the number of tensors.</param>
    /// <param name="json">Makes the command's JSON object of the tensors, the seconds and the device.</param>
    public void Run(
        CommandContext context,
        IOutput target,
        Func<string, Device, int> write,
        Func<Written, JsonObject> json
    )
    {
        Written written = Write(context, target, write);
        context.Finish(json(written), terminal => terminal.Line($"wrote {written.Tensors} tensors to {written.Path}"));
    }

    /// <summary>Writes the result whole or not at all.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="target">The folder or file.</param>
    /// <param name="write">Writes into a folder, or a file, on a device and returns the number of tensors.</param>
    public Written Write(CommandContext context, IOutput target, Func<string, Device, int> write)
    {
        using Device device = Device.Open(context);
        target.Claim();
        long start = Stopwatch.GetTimestamp();
        int tensors = 0;
        target.Fill(path => tensors = write(path, device));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return new Written(target.FullPath, tensors, seconds, device.ToString());
    }

    /// <summary>Prints the warnings about a GGUF file, and returns the number of its tensors.</summary>
    public static int Show(CommandContext context, GgufResult made)
    {
        context.Warn(made.Warnings);
        return made.Tensors;
    }

    /// <summary>What was written, for the command's JSON object.</summary>
    internal sealed record Written(string Path, int Tensors, double Seconds, string Device);
}
