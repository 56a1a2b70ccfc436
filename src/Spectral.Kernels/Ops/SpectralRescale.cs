using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Rescales singular values: <c>σ'ᵢ = σᵢ (1 + δᵢ)</c> of the first k directions of a weight, beside r low-rank ones.
/// The update is a <see cref="LowRankFactors"/> with <c>L = [U_k, B]</c>, <c>R = [V_kᵀ; A]</c> and the middle vector
/// made here, and runs through <see cref="LowRankLinear"/> (SpecLoRA, arXiv 2505.23099, with δ = m − 1).
/// </summary>
/// <example>
/// <code>
/// using SvdResult svd = RandomizedSvd.Compute(weight, rank: 16);
/// using Tensor delta = Tensor.From(device, Enumerable.Repeat(0.1f, 16).ToArray(), 16); // all values grow by 10 %
/// using Tensor middle = Tensor.Empty(device, 16);
/// SpectralRescale.Middle(svd.S, delta, scale: 1, middle); // σ ∘ δ
///
/// LowRankFactors factors = new(svd.U, middle, svd.Vt);
/// using Tensor z = Tensor.Empty(device, (x.Dim(0), factors.Rank));
/// LowRankLinear.Forward(x, weight, bias: null, factors, y, z);
/// </code>
/// </example>
public static class SpectralRescale
{
    /// <summary>Computes cᵢ = σᵢ δᵢ for i &lt; k; the remaining entries become <paramref name="scale"/>.</summary>
    /// <param name="sigma">[k] F32.</param>
    /// <param name="delta">[k] F32.</param>
    /// <param name="scale">Scale of the directions after the first k.</param>
    /// <param name="middle">[k + r] F32; overwritten.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Middle(Tensor sigma, Tensor delta, float scale, Tensor middle)
    {
        Check.Operand(sigma, DType.F32, [-1]);
        int directions = sigma.Dim(0);
        Check.Operand(delta, sigma, [directions]);
        Check.Operand(middle, sigma, [-1]);
        int extra = middle.Dim(0) - directions;
        if (extra < 0)
        {
            throw new ArgumentException(
                $"middle is {middle.Shape}, expected at least the {directions} entries of sigma",
                nameof(middle)
            );
        }

        if (middle.Count == 0)
            return;
        var args = new SpectralMiddleArgs
        {
            Sigma = sigma.Pointer,
            Delta = delta.Pointer,
            Middle = middle.Pointer,
            Directions = directions,
            Extra = extra,
            Scale = scale,
        };
        SpectralMiddleArgs.Kernel.Launch(
            sigma.Device,
            args,
            Launch.Blocks(middle.Dim(0), SpectralMiddleArgs.Kernel.Threads)
        );
    }

    /// <summary>Computes dδᵢ (+)= σᵢ · dcᵢ.</summary>
    /// <param name="middleGradient">dc [k] F32.</param>
    /// <param name="sigma">[k] F32.</param>
    /// <param name="deltaGradient">[k] F32; may be <paramref name="middleGradient"/> when not accumulating.</param>
    /// <param name="accumulate">Add instead of overwriting.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void DeltaGradient(Tensor middleGradient, Tensor sigma, Tensor deltaGradient, bool accumulate = false)
    {
        Check.Operand(sigma, DType.F32, [-1]);
        int directions = sigma.Dim(0);
        Check.Operand(middleGradient, sigma, [directions]);
        Check.Operand(deltaGradient, sigma, [directions]);
        if (directions == 0)
            return;
        var args = new SpectralDeltaGradientArgs
        {
            Sigma = sigma.Pointer,
            MiddleGradient = middleGradient.Pointer,
            DeltaGradient = deltaGradient.Pointer,
            Directions = directions,
            Accumulate = accumulate ? 1 : 0,
        };
        SpectralDeltaGradientArgs.Kernel.Launch(
            sigma.Device,
            args,
            Launch.Blocks(directions, SpectralDeltaGradientArgs.Kernel.Threads)
        );
    }
}
