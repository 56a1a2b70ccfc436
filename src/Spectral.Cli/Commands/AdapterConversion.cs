using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;

namespace Spectral.Cli.Commands;

/// <summary>What <c>merge</c> and <c>export</c> share: both read an adapter and write a folder of tensors.</summary>
/// <param name="adapterHelp">What is done with the adapter.</param>
/// <param name="outHelp">What the folder is for.</param>
/// <param name="autoType">What --dtype auto does.</param>
internal sealed class AdapterConversion(string adapterHelp, string outHelp, string autoType)
{
    public Option<string> Adapter { get; } = OptionTypes.RequiredPath("--adapter", adapterHelp, "DIR");

    public Option<string> Out { get; } = OptionTypes.RequiredPath("--out", outHelp, "DIR");

    public Option<bool> Overwrite { get; } =
        OptionTypes.Flag("--overwrite", "Replace files in --out if it is not empty.");

    public ResultTypeOption Type { get; } = new(autoType);

    public DeviceOptions Device { get; } = new();

    /// <summary>The options on what is written and where it is computed.</summary>
    public Option[] Result => [Out, Overwrite, Type.Option, .. Device.WithoutType];

    /// <summary>Returns the folder to write, which is none of those read.</summary>
    /// <exception cref="Training.IO.InputException">The folder may not be written to.</exception>
    public OutputFolder Target(CommandContext context, params ReadOnlySpan<string?> read) =>
        new(context.Get(Out), context.Get(Overwrite), read);

    /// <summary>Writes the folder whole or not at all, and prints what was written.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="target">The folder.</param>
    /// <param name="write">Writes the files into a folder on a device and returns the number of tensors.</param>
    /// <param name="json">Makes the command's JSON object of the tensors, the seconds and the device.</param>
    public void Run(
        CommandContext context,
        OutputFolder target,
        Func<string, Device, int> write,
        Func<Written, JsonObject> json
    )
    {
        Written written = Write(context, target, write);
        context.Finish(
            json(written),
            terminal => terminal.Line($"wrote {written.Tensors} tensors to {written.Folder}")
        );
    }

    /// <summary>Writes the folder whole or not at all.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="target">The folder.</param>
    /// <param name="write">Writes the files into a folder on a device and returns the number of tensors.</param>
    public Written Write(CommandContext context, OutputFolder target, Func<string, Device, int> write)
    {
        using Device device = Device.Open(context);
        target.Claim();
        long start = Stopwatch.GetTimestamp();
        int tensors = 0;
        target.Fill(folder => tensors = write(folder, device));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return new Written(target.FullPath, tensors, seconds, device.ToString());
    }

    /// <summary>What was written, for the command's JSON object.</summary>
    internal sealed record Written(string Folder, int Tensors, double Seconds, string Device);
}
