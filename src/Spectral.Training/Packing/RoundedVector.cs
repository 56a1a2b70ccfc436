namespace Spectral.Training.Packing;

/// <summary>
/// A vector whose entries are levels of their groups: <c>x = norm · scale · (code − 2^(bits − 1) + ½)</c>.
/// </summary>
/// <param name="Codes">The code of each entry.</param>
/// <param name="Scales">The scale of each group of <see cref="BandRounding.Group"/> entries, each an F16 value.</param>
/// <param name="Norm">The norm.</param>
internal sealed record RoundedVector(int[] Codes, float[] Scales, float Norm)
{
    /// <summary>Returns an entry of the rounded direction, which the norm multiplies.</summary>
    public double Direction(int entry, int bits) =>
        Scales[entry / BandRounding.Group] * BandRounding.Level(Codes[entry], bits);
}
