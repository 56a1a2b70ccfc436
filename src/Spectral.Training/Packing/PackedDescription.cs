namespace Spectral.Training.Packing;

/// <summary>What a packed folder says of its origin.</summary>
/// <param name="Method">The name of the compression method.</param>
/// <param name="Settings">The method's settings, as on the command line.</param>
/// <param name="BaseTensorSha256">
/// The SHA-256 of each tensor of the base whose change is packed, by name; empty where the base is not known.
/// </param>
internal sealed record PackedDescription(
    string Method,
    IReadOnlyDictionary<string, double> Settings,
    IReadOnlyDictionary<string, string> BaseTensorSha256
);
