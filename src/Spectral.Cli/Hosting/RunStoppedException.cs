namespace Spectral.Cli.Hosting;

/// <summary>Training was stopped by a signal; the message says how to go on.</summary>
internal sealed class RunStoppedException(string message, CancellationToken cancellation)
    : OperationCanceledException(message, cancellation);
