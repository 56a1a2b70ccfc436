using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Numerics;

namespace Spectral.Training.Generation;

/// <summary>
/// The random numbers that sampled text follows: Philox4x32-10, as in training, so that seeds that are neighbours have
/// nothing in common. The same on every device.
/// </summary>
/// <remarks>
/// New token n, from 0, takes the numbers 2n and 2n + 1 of <see cref="Philox.Uniform"/>'s stream "generate", 24 bits
/// each, and no others: a longer text of the same seed begins as the shorter one does.
/// </remarks>
internal sealed class SamplingDraws
{
    private readonly float[] _numbers;

    /// <summary>Draws all that a text of <paramref name="tokens"/> new tokens can need.</summary>
    public SamplingDraws(Device device, ulong seed, int tokens)
    {
        using var drawn = Tensor.Empty(device, checked(2 * tokens));
        Philox.Uniform(drawn, seed, RandomStream.For("generate"));
        _numbers = drawn.ToArray();
    }

    /// <summary>
    /// The number of a new token: a multiple of 2⁻⁴⁸ in [0, 1), finer than the least probable token of a large
    /// vocabulary.
    /// </summary>
    public double this[int token] => _numbers[2 * token] + (_numbers[(2 * token) + 1] * (1.0 / (1 << 24)));
}
