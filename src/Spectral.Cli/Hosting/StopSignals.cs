using System.Runtime.InteropServices;

namespace Spectral.Cli.Hosting;

/// <summary>
/// Turns the first SIGINT or SIGTERM into a cancellation, so that work ends between two steps with everything tidy;
/// a second one ends the process at once.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource source = new();
    private readonly PosixSignalRegistration interrupt;
    private readonly PosixSignalRegistration terminate;
    private volatile int exitCode;

    public StopSignals()
    {
        interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Stop(signal, 130));
        terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Stop(signal, 143));
    }

    public CancellationToken Token => source.Token;

    /// <summary>128 + the number of the signal that came, else 0.</summary>
    public int ExitCode => exitCode;

    public void Dispose()
    {
        interrupt.Dispose();
        terminate.Dispose();
        source.Dispose();
    }

    private void Stop(PosixSignalContext signal, int code)
    {
        if (exitCode != 0)
            return;
        exitCode = code;
        signal.Cancel = true;
        source.Cancel();
    }
}
