namespace Spectral.Kernels.Linalg;

/// <summary>Where the small factorisations (the order of the sketch) are computed.</summary>
internal enum SmallProblems
{
    /// <summary>
    /// In one block on a GPU up to the order that fits; by the library beyond it and on the CPU device.
    /// </summary>
    Auto,

    /// <summary>In one block: our kernels.</summary>
    OneBlock,

    /// <summary>cuSOLVER, or LAPACK on the CPU device.</summary>
    Library,
}
