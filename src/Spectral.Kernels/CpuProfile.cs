namespace Spectral.Kernels;

/// <summary>
/// Names the GPUs whose limits and properties the CPU device can take over: compute capability, number of
/// multiprocessors, shared memory, clusters, caches and memory.
/// </summary>
public enum CpuProfile
{
    /// <summary>No GPU: compute capability 9.0, and a multiprocessor for each core.</summary>
    None,

    /// <summary>NVIDIA A100, SXM, 80 GB: compute capability 8.0.</summary>
    A100,

    /// <summary>NVIDIA GeForce RTX 4090: compute capability 8.9, and at most 99 KiB of shared memory a block.</summary>
    Rtx4090,

    /// <summary>NVIDIA H100, SXM: compute capability 9.0.</summary>
    H100,

    /// <summary>NVIDIA H200, SXM: compute capability 9.0.</summary>
    H200,

    /// <summary>NVIDIA B200: compute capability 10.0, which runs PTX of <c>sm_80</c>.</summary>
    B200,
}
