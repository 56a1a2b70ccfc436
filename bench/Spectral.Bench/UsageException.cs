namespace Spectral.Bench;

/// <summary>Reports arguments of the command line that cannot be carried out.</summary>
internal sealed class UsageException(string message) : Exception(message);
