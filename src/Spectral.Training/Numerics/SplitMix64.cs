namespace Spectral.Training.Numerics;

/// <summary>
/// Mixes 64 bits as SplitMix64 does (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
/// </summary>
internal static class SplitMix64
{
    /// <summary>The step between the states of successive numbers.</summary>
    public const ulong Step = 0x9E3779B97F4A7C15UL;

    /// <summary>Returns the number that follows from a state.</summary>
    public static ulong Mix(ulong state)
    {
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9UL;
        state = (state ^ (state >> 27)) * 0x94D049BB133111EBUL;
        return state ^ (state >> 31);
    }

    /// <summary>Returns the number at an index of a stream, uniform in [0, 1), a multiple of 2⁻⁵³.</summary>
    public static double Uniform(ulong stream, ulong index) =>
        (Mix(stream + (Step * (index + 1))) >> 11) * (1.0 / (1UL << 53));
}
