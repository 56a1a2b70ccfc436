using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>One weight before and after tuning, with what is known of how it was stored.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Base">W0 [out, in].</param>
/// <param name="Tuned">W1 [out, in].</param>
internal sealed record WeightPair(string Name, HostMatrix Base, HostMatrix Tuned)
{
    /// <summary>Element type that W0 was rounded to.</summary>
    public required StoredType BaseType { get; init; }

    /// <summary>Element type that W1 was rounded to.</summary>
    public required StoredType TunedType { get; init; }

    /// <summary>
    /// W1 was computed from these very values of W0, so that their rounding is no part of the difference.
    /// </summary>
    public bool BaseIsExact { get; init; }

    /// <summary>What a SpecLoRA adapter does to the values; null for other tuning.</summary>
    public SpectralMask? Mask { get; init; }
}
