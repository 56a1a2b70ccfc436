using System.Runtime.InteropServices;

namespace Spectral.Cli.Hosting;

/// <summary>
/// Turns the first SIGINT or SIGTERM into a cancellation, so that work can end between two steps and clean up; a second
/// signal ends the process at once.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration _interrupt;
    private readonly PosixSignalRegistration _terminate;
    private volatile int _exitCode;

    public StopSignals()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => Stop(signal, 130));
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => Stop(signal, 143));
    }

    public CancellationToken Token => _source.Token;

    /// <summary>128 plus the number of the signal that was received; 0 if there was none.</summary>
    public int ExitCode => _exitCode;

    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
        _source.Dispose();
    }

    private void Stop(PosixSignalContext signal, int code)
    {
        if (_exitCode != 0)
            return;
        _exitCode = code;
        signal.Cancel = true;
        _source.Cancel();
    }
}
