namespace Spectral.Training.Quantization;

/// <summary>The scales of a quantised weight, in the order of their blocks, read as they are asked for.</summary>
internal abstract class WeightScales
{
    /// <summary>Reads scales from <paramref name="first"/> on, as many as the destination holds.</summary>
    /// <exception cref="IO.InputException">A scale is not finite.</exception>
    public abstract void Read(long first, Span<float> destination);
}
