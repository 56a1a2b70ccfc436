using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>One weight before and after tuning, with the types in which it was stored.</summary>
/// <param name="Name">The name of the tensor.</param>
/// <param name="Base">The base weight W0 [out, in].</param>
/// <param name="Tuned">The tuned weight W1 [out, in].</param>
internal sealed record WeightPair(string Name, HostMatrix Base, HostMatrix Tuned)
{
    /// <summary>The element type to which W0 was rounded.</summary>
    public required StoredType BaseType { get; init; }

    /// <summary>The element type to which W1 was rounded.</summary>
    public required StoredType TunedType { get; init; }

    /// <summary>
    /// Whether W1 was computed from these very values of W0, so that rounding of W0 does not contribute to the
    /// difference.
    /// </summary>
    public bool BaseIsExact { get; init; }

    /// <summary>The factors of a SpecLoRA adapter; null for other kinds of tuning.</summary>
    public SpectralMask? Mask { get; init; }
}
