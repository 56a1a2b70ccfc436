using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Numerics;

namespace Spectral.Training.Generation;

/// <summary>
/// The random numbers that select sampled tokens. They come from Philox4x32-10, as in training, so that neighbouring
/// seeds are unrelated, and are the same on every device.
/// </summary>
/// <remarks>
/// New token n, counted from 0, uses only the numbers 2n and 2n + 1 of <see cref="Philox.Uniform"/>'s stream
/// "generate", 24 bits each. So a longer text of the same seed begins like the shorter one.
/// </remarks>
internal sealed class SamplingDraws
{
    private readonly float[] _numbers;

    /// <summary>Draws the numbers for a text of <paramref name="tokens"/> new tokens.</summary>
    public SamplingDraws(Device device, ulong seed, int tokens)
    {
        using var drawn = Tensor.Empty(device, checked(2 * tokens));
        Philox.Uniform(drawn, seed, RandomStream.For("generate"));
        _numbers = drawn.ToArray();
    }

    /// <summary>
    /// The random number of a new token: a multiple of 2⁻⁴⁸ in [0, 1), finer than the least probable token of a large
    /// vocabulary.
    /// </summary>
    public double this[int token] => _numbers[2 * token] + (_numbers[(2 * token) + 1] * (1.0 / (1 << 24)));
}
