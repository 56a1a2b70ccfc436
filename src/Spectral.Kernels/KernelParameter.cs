namespace Spectral.Kernels;

/// <summary>Places one parameter of a kernel in the bytes of its arguments.</summary>
/// <param name="Offset">Offset of the parameter from the first byte of the arguments.</param>
/// <param name="Bytes">Size of the parameter in bytes.</param>
public readonly record struct KernelParameter(int Offset, int Bytes)
{
    /// <summary>Writes the parameter as errors show it, e.g. <c>8 bytes at 16</c>.</summary>
    public override string ToString() => $"{Bytes} bytes at {Offset}";
}
