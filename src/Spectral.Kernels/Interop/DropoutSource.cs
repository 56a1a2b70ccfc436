namespace Spectral.Kernels.Interop;

/// <summary>
/// Describes the dropout mask that a kernel computes: a part of argument structs, laid out as <c>Dropout</c> in
/// <c>device/dropout.cuh</c>.
/// </summary>
public struct DropoutSource
{
    /// <summary>
    /// Device address of the <c>DropoutState</c> (seed and offset, two U64), 8-byte aligned; 0 to drop nothing.
    /// </summary>
    public ulong State;

    /// <summary>Number of the generator's stream, one per layer.</summary>
    public ulong Stream;

    /// <summary>Probability of dropping an element, in units of 1/65536.</summary>
    public uint Threshold;

    /// <summary>Factor of the elements that are kept.</summary>
    public float Factor;
}
