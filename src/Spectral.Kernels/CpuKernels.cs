namespace Spectral.Kernels;

/// <summary>Names the two forms in which the CPU device can run this library's kernels.</summary>
public enum CpuKernels
{
    /// <summary>Compiled from the kernels' source for this processor: fast, and the default.</summary>
    Source,

    /// <summary>
    /// The PTX that a GPU would load, one instruction after the other. Slower, but it shows what nvcc made of the
    /// source. Needs a build with PTX (<see cref="KernelLibrary.Architectures"/>).
    /// </summary>
    Ptx,
}
