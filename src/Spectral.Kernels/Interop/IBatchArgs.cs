namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of a kernel whose grid counts the matrices of a batch along its last dimension, y or z. A grid has at most
/// 65,535 blocks there, so <see cref="Launch.Batch"/> launches larger batches in pieces.
/// </summary>
internal interface IBatchArgs
{
    /// <summary>Moves the addresses of whatever each matrix has of its own on by some matrices; 0 stays 0.</summary>
    void Skip(int matrices);
}
