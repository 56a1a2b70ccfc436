using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Cli.Options;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.IO;

namespace Spectral.Cli.Runs;

/// <summary>A run that is about to train, new or resumed.</summary>
/// <param name="Identity">The options and files of the run.</param>
/// <param name="Saved">The checkpoint to resume from; null for a new run.</param>
/// <param name="Device">The device that trains.</param>
/// <param name="Type">The compute type.</param>
internal sealed record StartedRun(RunIdentity Identity, SavedRun? Saved, Device Device, DType Type) : IDisposable
{
    /// <summary>Claims the folder of a run, opens the checkpoint to resume from, and opens the device.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="command">The command.</param>
    /// <param name="options">The options of the command that say how to train.</param>
    /// <param name="output">The folder.</param>
    /// <param name="steps">The number of steps of the run.</param>
    /// <param name="inputs">The options of the command that name a file or folder to read.</param>
    /// <returns>
    /// The run, which the caller disposes; null if the run is already done, after printing its result.
    /// </returns>
    /// <exception cref="InputException">
    /// The checkpoint is damaged, or belongs to another run than the one that the command line describes; or the ranks
    /// differ (<see cref="RankAgreement"/>).
    /// </exception>
    public static StartedRun? Begin(
        CommandContext context,
        Command command,
        TrainingOptions options,
        OutputFolder output,
        int steps,
        params ReadOnlySpan<Option> inputs
    )
    {
        output.Claim();
        var identity = new RunIdentity(context, command, inputs);
        SavedRun? saved = context.Get(options.Resume) ? Resumed(context, output, identity, steps) : null;
        Device? device = null;
        try
        {
            if (saved?.Result is { } done)
            {
                TrainingRun.ShowDone(context, output, saved, done);
                saved.Dispose();
                return null;
            }
            device = options.Device.Open(context);
            DType type = options.Device.TypeOn(device, context);
            saved?.Prepare(context, device, type);
            context.Join(device);
            RankAgreement.Require(context.Ranks, identity, saved, device, type);
            return new StartedRun(identity, saved, device, type);
        }
        catch
        {
            device?.Dispose();
            saved?.Dispose();
            throw;
        }
    }

    /// <summary>Closes the device and the checkpoint.</summary>
    public void Dispose()
    {
        Device.Dispose();
        Saved?.Dispose();
    }

    private static SavedRun? Resumed(CommandContext context, OutputFolder output, RunIdentity identity, int steps)
    {
        if (SavedRun.Open(output.FullPath) is not { } saved)
            return null;
        try
        {
            saved.Require(context, identity, steps);
            return saved;
        }
        catch
        {
            saved.Dispose();
            throw;
        }
    }
}
