using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Describes a dropout mask that is never stored. Whether element i of an array is kept follows from 16 bits of
/// <c>philox4x32_10(key = seed, counter = (i / 8, stream + 2³² · offset))</c> with seed and offset of the state, so
/// that forward and backward of a micro-batch make the same mask.
/// </summary>
/// <param name="State">Holds seed and offset on the device.</param>
/// <param name="Stream">Number of the layer; layers that read the same array may share one.</param>
/// <param name="Probability">Probability p of dropping an element, 0 or more and below 1; rounded to a multiple of
/// 1/65536.</param>
public sealed record DropoutMask(StepState State, uint Stream, double Probability)
{
    private const double Steps = 65536;

    private readonly uint _threshold = Probability is >= 0 and < 1
        ? (uint)Math.Min(Steps - 1, Math.Round(Probability * Steps))
        : throw new ArgumentOutOfRangeException(nameof(Probability), Probability, "expected 0 or more and below 1");

    /// <summary>Factor of the kept elements, 1 / (1 − p), which preserves the expected value.</summary>
    public float Factor => (float)(Steps / (Steps - _threshold));

    internal DropoutSource Source(float factor) =>
        new()
        {
            State = State.DropoutPointer,
            Stream = Stream,
            Threshold = _threshold,
            Factor = factor,
        };
}
