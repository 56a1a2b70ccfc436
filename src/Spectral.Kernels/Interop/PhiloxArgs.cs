namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>philox.cu</c>: random numbers <c>offset + factor · z</c>.</summary>
public struct PhiloxArgs
{
    /// <summary>Describes <c>philox_uniform_f32</c>.</summary>
    public static readonly KernelEntry<PhiloxArgs> Uniform = new("philox", Launch.FlatThreads, "philox_uniform_f32");

    /// <summary>Describes <c>philox_normal_f32</c>.</summary>
    public static readonly KernelEntry<PhiloxArgs> Normal = new("philox", Launch.FlatThreads, "philox_normal_f32");

    /// <summary>
    /// Device address of the numbers, [Count] F32; written. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Key of the Philox generator.</summary>
    public ulong Seed;

    /// <summary>Upper half of the generator's counter; different streams are independent.</summary>
    public ulong Stream;

    /// <summary>Numbers wanted.</summary>
    public long Count;

    /// <summary>Low end of the uniform numbers, or mean of the normal ones.</summary>
    public float Offset;

    /// <summary>Width of the uniform numbers, or standard deviation of the normal ones.</summary>
    public float Factor;
}
