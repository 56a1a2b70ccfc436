using System.Globalization;
using Spectral.Kernels.Driver;
using Spectral.Training;
using Spectral.Training.Distributed;
using Spectral.Training.IO;

namespace Spectral.Cli.Hosting;

/// <summary>
/// Turns the outcome of a command into a message and an exit code: 0 for success, 1 for a failure while working, 2 for
/// bad usage or bad input, 130 and 143 for SIGINT and SIGTERM.
/// </summary>
internal static class ErrorBoundary
{
    public const int Failed = 1;
    public const int BadInput = 2;

    /// <summary>
    /// How long the other ranks wait with a failure. The launcher ends all ranks when one fails; so an error that all
    /// have is printed once, and what the first rank does in the end is not cut off.
    /// </summary>
    private static readonly TimeSpan AfterFirst = TimeSpan.FromSeconds(5);

    public static int Run(SpectralCommand command, CommandContext context)
    {
        using var signals = new StopSignals();
        context.Cancellation = signals.Token;
        try
        {
            if (command.TakesRanks)
                context.StartAs(RankLaunch.From(Environment.GetEnvironmentVariable));
            command.Execute(context);
            context.Ranks.Dispose();
            return 0;
        }
        catch (Exception error)
        {
            int code = error switch
            {
                OperationCanceledException when signals.ExitCode != 0 => signals.ExitCode,
                InputException => BadInput,
                _ => Failed,
            };
            context.Ranks.Abort();
            if (!context.Launch.IsFirst)
            {
                signals.Dispose(); // the launcher's ends the wait
                Thread.Sleep(AfterFirst);
                if (error is OperationCanceledException)
                    return code;
            }

            Report(command.Name, error, code, context);
            if (context.Debug)
                Console.Error.WriteLine(error);
            return code;
        }
    }

    private static void Report(string command, Exception error, int code, CommandContext context)
    {
        string message = error switch
        {
            RunStoppedException => error.Message,
            OperationCanceledException when code > BadInput => "stopped",
            InputException
            or TrainingDivergedException
            or IOException
            or UnauthorizedAccessException
            or DllNotFoundException => OneLine(error.Message),
            CudaException { IsOutOfMemory: true } memory => "out of device memory: " + Numbers(memory) + Help(context),
            OutOfMemoryException => "not enough memory: " + OneLine(error.Message),
            _ => OneLine(error.Message) + " (--debug shows where)",
        };
        string rank = context.Launch.IsFirst ? "" : $"rank {context.Launch.Rank} of {context.Launch.Count}: ";
        Console.Error.WriteLine($"spectral {command}: {rank}{message}");
    }

    private static string Help(CommandContext context)
    {
        if (context.MemorySavings is { Count: > 0 } savings)
            return "; " + string.Join(", ", savings);
        return context.SavesMemory.Count > 0
            ? "; these options need less: " + string.Join(", or ", context.SavesMemory)
            : "";
    }

    private static string Numbers(CudaException error) =>
        error is OutOfDeviceMemoryException memory
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"{Mebibytes(memory.Requested)} MiB were asked for on {memory.Device}, with "
                    + $"{Mebibytes(memory.InUse)} MiB in use and {Mebibytes(memory.Free)} MiB of "
                    + $"{Mebibytes(memory.Total)} MiB free{(memory.IsLimited ? ", which --max-memory allows" : "")}"
            )
            : OneLine(error.Message);

    private static string Mebibytes(long bytes) =>
        (bytes / (double)(1 << 20)).ToString("#,0.##", CultureInfo.InvariantCulture);

    private static string OneLine(string text) =>
        string.Join(' ', text.Split((char[])['\r', '\n'], StringSplitOptions.RemoveEmptyEntries));
}
