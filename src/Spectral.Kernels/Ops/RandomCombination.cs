using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes combinations of random directions u_i, which are generated again wherever they are read: element e of u_i
/// is that of <see cref="Philox.Uniform"/> with the same seed, stream <c>firstStream + i</c> and limits ∓bound.
/// </summary>
public static class RandomCombination
{
    private const int ElementsPerBlock = 128;
    private const int ChunkElements = 4096;
    private const int MaxChunks = 1024;

    /// <summary>Computes <c>y = base + Σ_i alpha_i u_i</c>.</summary>
    /// <param name="origin">The base: shape of y, F32; null: zeros.</param>
    /// <param name="alpha">[n] F32.</param>
    /// <param name="y">Any shape, F32; written; may be the base.</param>
    /// <param name="seed">Seed of the generator.</param>
    /// <param name="firstStream">Stream of u_0.</param>
    /// <param name="bound">Largest absolute value of a direction's elements.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor? origin, Tensor alpha, Tensor y, ulong seed, ulong firstStream, float bound)
    {
        Check.Operand(y, DType.F32);
        Check.Operand(alpha, y, [-1]);
        if (origin is not null)
            Check.SameAs(origin, y);
        if (y.Count == 0)
            return;
        var args = new RandomCombinationArgs
        {
            Base = origin?.Pointer ?? 0,
            Alpha = alpha.Pointer,
            Y = y.Pointer,
            Seed = seed,
            FirstStream = firstStream,
            Count = y.Count,
            N = alpha.Dim(0),
            Bound = bound,
        };
        RandomCombinationArgs.Kernel.Launch(y.Device, args, Launch.Blocks(y.Count, ElementsPerBlock));
    }

    /// <summary>
    /// Computes <c>dalpha_i = Σ_e dy[e] u_i[e] (+ dalpha_i)</c> in F64, in an order that depends on the lengths alone.
    /// </summary>
    /// <param name="dy">F32, as y.</param>
    /// <param name="dalpha">[n] F32.</param>
    /// <param name="seed">Seed given to <see cref="Forward"/>.</param>
    /// <param name="firstStream">Stream of u_0, as given to <see cref="Forward"/>.</param>
    /// <param name="bound">Bound given to <see cref="Forward"/>.</param>
    /// <param name="accumulate">Whether it is added to what dalpha holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(
        Tensor dy,
        Tensor dalpha,
        ulong seed,
        ulong firstStream,
        float bound,
        bool accumulate = false
    )
    {
        Check.Operand(dy, DType.F32);
        Check.Operand(dalpha, dy, [-1]);
        int n = dalpha.Dim(0);
        if (n == 0)
            return;
        long chunk = Math.Max(ChunkElements, (dy.Count / MaxChunks + 4) & ~3L);
        int chunks = Launch.Blocks(dy.Count, (int)chunk);
        using var partials = Tensor.Empty(dy.Device, (n, chunks), DType.F64);
        if (chunks > 0)
        {
            var args = new RandomCombinationBackwardArgs
            {
                Dy = dy.Pointer,
                Partials = partials.Pointer,
                Seed = seed,
                FirstStream = firstStream,
                Count = dy.Count,
                Chunk = chunk,
                N = n,
                Chunks = chunks,
                Bound = bound,
            };
            RandomCombinationBackwardArgs.Kernel.Launch(dy.Device, args, Launch.RowBlocks((long)n * chunks));
        }
        BroadcastDot.Finish(partials, dalpha, 1, accumulate);
    }
}
