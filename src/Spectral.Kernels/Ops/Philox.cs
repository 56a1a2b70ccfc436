using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Makes random numbers with Philox4x32-10 (Salmon et al. 2011). The value at linear index i depends on (seed, stream,
/// i) alone and is the same on every device; give every tensor its own stream.
/// </summary>
public static class Philox
{
    private const int ValuesPerThread = 4;

    /// <summary>
    /// Fills a tensor with uniform numbers: <c>low + (high − low) u</c>, u a multiple of 2⁻²⁴ in [0, 1).
    /// </summary>
    /// <param name="destination">Any shape, F32; written.</param>
    /// <param name="seed">Seed of the generator.</param>
    /// <param name="stream">Stream of numbers; streams of one seed are independent.</param>
    /// <param name="low">Smallest value of the numbers.</param>
    /// <param name="high">Upper end of the numbers, reached only by rounding.</param>
    /// <exception cref="ArgumentException">The type does not fit.</exception>
    public static void Uniform(Tensor destination, ulong seed, ulong stream, float low = 0, float high = 1) =>
        Run(PhiloxArgs.Uniform, destination, seed, stream, low, high - low);

    /// <summary>Fills a tensor with normal numbers, made by Box-Muller.</summary>
    /// <param name="destination">Any shape, F32; written.</param>
    /// <param name="seed">Seed of the generator.</param>
    /// <param name="stream">Stream of numbers; streams of one seed are independent.</param>
    /// <param name="mean">Mean of the numbers.</param>
    /// <param name="deviation">Standard deviation of the numbers.</param>
    /// <exception cref="ArgumentException">The type does not fit.</exception>
    public static void Normal(Tensor destination, ulong seed, ulong stream, float mean = 0, float deviation = 1) =>
        Run(PhiloxArgs.Normal, destination, seed, stream, mean, deviation);

    private static void Run(
        KernelEntry<PhiloxArgs> numbers,
        Tensor destination,
        ulong seed,
        ulong stream,
        float offset,
        float factor
    )
    {
        Check.Operand(destination, DType.F32);
        if (destination.Count == 0)
            return;
        var args = new PhiloxArgs
        {
            Destination = destination.Pointer,
            Seed = seed,
            Stream = stream,
            Count = destination.Count,
            Offset = offset,
            Factor = factor,
        };
        numbers.Launch(destination.Device, args, Launch.Blocks(args.Count, Launch.FlatThreads * ValuesPerThread));
    }
}
