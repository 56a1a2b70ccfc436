namespace Spectral.Kernels.Linalg;

/// <summary>Says where the small factorisations, of the order of the sketch, are computed.</summary>
internal enum SmallProblems
{
    /// <summary>
    /// In one block on a GPU up to the order that fits; beyond it and on the CPU device by the library.
    /// </summary>
    Auto,

    /// <summary>In one block, by our kernels.</summary>
    OneBlock,

    /// <summary>By cuSOLVER, or by LAPACK on the CPU device.</summary>
    Library,
}
