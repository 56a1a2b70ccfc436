using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Puts the dimensions of a tensor into another order.</summary>
public static class Permute
{
    /// <summary>Returns the shape of <paramref name="x"/> with its dimensions in another order.</summary>
    /// <param name="x">Shape before the permutation.</param>
    /// <param name="axes">For each dimension of the result, which one of x it is.</param>
    /// <exception cref="ArgumentException">The axes are not each dimension once.</exception>
    public static Shape Of(Shape x, ReadOnlySpan<int> axes)
    {
        Span<int> dimensions = stackalloc int[4];
        int seen = 0;
        for (int i = 0; i < axes.Length && axes.Length == x.Rank; i++)
        {
            if (axes[i] < 0 || axes[i] >= x.Rank)
                break;
            seen |= 1 << axes[i];
            dimensions[i] = x[axes[i]];
        }
        if (axes.Length != x.Rank || seen != (1 << x.Rank) - 1)
        {
            throw new ArgumentException(
                $"axes [{string.Join(", ", axes.ToArray())}] for a shape {x}: expected each of its dimensions once",
                nameof(axes)
            );
        }

        return Shape.Of(dimensions[..axes.Length]);
    }

    /// <summary>Computes <c>y[i] (+)= x[j]</c>, where dimension k of y is dimension axes[k] of x.</summary>
    /// <param name="x">Up to four dimensions, F32.</param>
    /// <param name="axes">For each dimension of y, which one of x it is.</param>
    /// <param name="y">F32, the shape that <see cref="Of"/> gives; must not overlap x.</param>
    /// <param name="accumulate">Whether it is added to what y holds.</param>
    /// <exception cref="ArgumentException">Axes, shape, type or device do not fit.</exception>
    public static void Run(Tensor x, ReadOnlySpan<int> axes, Tensor y, bool accumulate = false)
    {
        Check.Operand(x, DType.F32);
        Check.Operand(y, x);
        Shape wanted = Of(x.Shape, axes);
        if (y.Shape != wanted)
            throw new ArgumentException($"y is {y.Shape}, expected {wanted}", nameof(y));
        if (x.Count == 0)
            return;
        Span<long> strides = stackalloc long[4];
        Span<int> dimensions = stackalloc int[4];
        int missing = 4 - axes.Length;
        dimensions[..missing].Fill(1);
        for (int k = 0; k < axes.Length; k++)
        {
            dimensions[missing + k] = y.Dim(k);
            long stride = 1;
            for (int d = axes[k] + 1; d < axes.Length; d++)
                stride *= x.Dim(d);
            strides[missing + k] = stride;
        }
        var args = new PermuteArgs
        {
            X = x.Pointer,
            Y = y.Pointer,
            Count = x.Count,
            Stride0 = strides[0],
            Stride1 = strides[1],
            Stride2 = strides[2],
            Stride3 = strides[3],
            Dim1 = dimensions[1],
            Dim2 = dimensions[2],
            Dim3 = dimensions[3],
            Accumulate = accumulate ? 1 : 0,
        };
        PermuteArgs.Kernel.Launch(x.Device, args, Launch.Blocks(x.Count, PermuteArgs.Kernel.Threads));
    }
}
