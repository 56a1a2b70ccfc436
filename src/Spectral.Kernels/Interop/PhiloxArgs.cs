namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>philox.cu</c>: random numbers <c>Offset + Factor · z</c>, where z is uniform or normal.
/// </summary>
public struct PhiloxArgs
{
    /// <summary>The kernel for z uniform in [0, 1), <c>philox_uniform_f32</c>; one thread per 4 numbers.</summary>
    public static readonly KernelEntry<PhiloxArgs> Uniform = new("philox", Launch.FlatThreads, "philox_uniform_f32");

    /// <summary>
    /// The kernel for z of the standard normal distribution, <c>philox_normal_f32</c>; one thread per 4 numbers.
    /// </summary>
    public static readonly KernelEntry<PhiloxArgs> Normal = new("philox", Launch.FlatThreads, "philox_normal_f32");

    /// <summary>
    /// Device address of the numbers, [Count] F32; written. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>Key of the Philox generator, the seed.</summary>
    public ulong Seed;

    /// <summary>Upper half of the generator's counter; different streams are independent.</summary>
    public ulong Stream;

    /// <summary>Number of values to draw.</summary>
    public long Count;

    /// <summary>Lower bound of the uniform numbers, or mean of the normal ones.</summary>
    public float Offset;

    /// <summary>Width of the uniform numbers' range, or standard deviation of the normal ones.</summary>
    public float Factor;
}
