namespace Spectral.Cli.Memory;

/// <summary>What a run would need with other options.</summary>
/// <param name="Option">The options as they would be given on the command line.</param>
/// <param name="Peak">The largest need of the run with them, in bytes.</param>
internal sealed record MemorySaving(string Option, long Peak);
