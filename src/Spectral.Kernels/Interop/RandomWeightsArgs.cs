namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>random_search.cu</c>: the factors of random directions, from measured losses.</summary>
public struct RandomWeightsArgs
{
    /// <summary>The kernel <c>random_weights_two_point</c>: MeZO's estimate; one thread.</summary>
    public static readonly KernelEntry<RandomWeightsArgs> TwoPoint = new(
        "random_search",
        32,
        "random_weights_two_point"
    );

    /// <summary>The kernel <c>random_weights_population</c>: standardised rewards; one thread.</summary>
    public static readonly KernelEntry<RandomWeightsArgs> Population = new(
        "random_search",
        32,
        "random_weights_population"
    );

    /// <summary>
    /// Device address of sums of token losses, [Members, Batches] F32; [2, Batches] for <see cref="TwoPoint"/>.
    /// </summary>
    public ulong Losses;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned. It has the factor that makes a mean of the sums.
    /// </summary>
    public ulong State;

    /// <summary>Device address of the factor of each direction, [Members] F32; written.</summary>
    public ulong Weights;

    /// <summary>Number of directions in a step; 1 for <see cref="TwoPoint"/>.</summary>
    public int Members;

    /// <summary>Number of micro-batches in a step.</summary>
    public int Batches;

    /// <summary>How far the parameters were moved along a direction.</summary>
    public float Size;
}
