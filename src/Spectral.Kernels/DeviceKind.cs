namespace Spectral.Kernels;

/// <summary>Names the two drivers that a <see cref="Device"/> can work with.</summary>
public enum DeviceKind
{
    /// <summary>An NVIDIA GPU through the CUDA driver.</summary>
    Cuda,

    /// <summary>
    /// The CPU device: the same kernels behind the same driver entry points, on this machine's cores.
    /// </summary>
    Cpu,
}
