namespace Spectral.Cli.Hosting;

/// <summary>Reports that a signal stopped training; the message says how to resume.</summary>
internal sealed class RunStoppedException(string message, CancellationToken cancellation)
    : OperationCanceledException(message, cancellation);
