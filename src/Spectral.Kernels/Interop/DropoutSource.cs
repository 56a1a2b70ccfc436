namespace Spectral.Kernels.Interop;

/// <summary>
/// Tells a kernel which dropout mask to make: part of argument structs, the twin of <c>Dropout</c> in
/// <c>device/dropout.cuh</c>.
/// </summary>
public struct DropoutSource
{
    /// <summary>Device address of the <c>DropoutState</c> (seed and offset, two U64); 0: nothing is dropped.</summary>
    public ulong State;

    /// <summary>Stream of the generator, one per layer.</summary>
    public ulong Stream;

    /// <summary>Probability of dropping an element, in units of 1/65536.</summary>
    public uint Threshold;

    /// <summary>Factor of the elements that are kept.</summary>
    public float Factor;
}
