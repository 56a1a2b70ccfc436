namespace Spectral.Training.Models;

/// <summary>The angles by which queries and keys turn with their positions.</summary>
/// <param name="Theta">The base θ of the frequencies θ^(−2i/d).</param>
/// <param name="Scaling">The scaling of the angles; null: they are not scaled.</param>
public sealed record RotaryAngles(double Theta, RopeScaling? Scaling)
{
    /// <summary>The factor on cosines and sines.</summary>
    public double Amplitude => Scaling?.Amplitude ?? 1;

    /// <summary>
    /// Returns the angle per position for each of the pairs of features that turn together, rounded once to F32 as in
    /// Hugging Face.
    /// </summary>
    /// <param name="size">The number of features that turn, d.</param>
    /// <param name="positions">The length of the sequence, on which some scalings depend.</param>
    public float[] Frequencies(int size, int positions = 1) =>
        Array.ConvertAll(
            Scaling?.Frequencies(Theta, size, positions) ?? RopeScaling.Unscaled(Theta, size),
            frequency => (float)frequency
        );

    /// <summary>Returns a length whose <see cref="Frequencies"/> are the same as those of this one.</summary>
    internal int Representative(int positions) => Scaling?.Representative(positions) ?? 1;
}
