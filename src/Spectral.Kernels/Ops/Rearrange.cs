using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Takes elements by a fixed table, for tiling, block diagonals, skew symmetry, permutation or sparse positions.
/// </summary>
public static class Rearrange
{
    /// <summary>Computes <c>y[e] = factor[e] · x[index[e]]</c>, 0 where the index is −1.</summary>
    /// <param name="x">Any shape, F32, with the elements that the table takes from.</param>
    /// <param name="table">Table of the indices and their factors.</param>
    /// <param name="y">Any shape, F32, with the elements that the table makes; written; must not overlap x.</param>
    /// <exception cref="ArgumentException">Number of elements, type or device does not fit.</exception>
    public static void Forward(Tensor x, IndexTable table, Tensor y)
    {
        Verify(x, y, table);
        if (y.Count == 0)
            return;
        var args = new RearrangeForwardArgs
        {
            X = x.Pointer,
            Index = table.Index.Pointer,
            Factors = table.Factors?.Pointer ?? 0,
            Y = y.Pointer,
            Count = y.Count,
        };
        RearrangeForwardArgs.Kernel.Launch(x.Device, args, Launch.Blocks(args.Count, Launch.FlatThreads));
    }

    /// <summary>
    /// Computes <c>dx[s] = Σ factor[e] · dy[e] (+ dx[s])</c> over the elements e made of s, in ascending order and in
    /// F64.
    /// </summary>
    /// <param name="dy">F32, as y.</param>
    /// <param name="table">Table of the indices and their factors.</param>
    /// <param name="dx">F32, as x; must not overlap dy.</param>
    /// <param name="accumulate">Whether it is added to what dx holds.</param>
    /// <exception cref="ArgumentException">Number of elements, type or device does not fit.</exception>
    public static void Backward(Tensor dy, IndexTable table, Tensor dx, bool accumulate = false)
    {
        Verify(dx, dy, table);
        if (dx.Count == 0)
            return;
        var args = new RearrangeBackwardArgs
        {
            Dy = dy.Pointer,
            Offsets = table.Offsets.Pointer,
            Entries = table.Entries.Pointer,
            Factors = table.Factors?.Pointer ?? 0,
            Dx = dx.Pointer,
            Sources = table.Sources,
            Accumulate = accumulate ? 1 : 0,
        };
        if (table.IsLong)
            RearrangeBackwardArgs.Long.Launch(dx.Device, args, Launch.RowBlocks(args.Sources));
        else
            RearrangeBackwardArgs.Short.Launch(dx.Device, args, Launch.Blocks(args.Sources, Launch.FlatThreads));
    }

    private static void Verify(
        Tensor source,
        Tensor result,
        IndexTable table,
        [CallerArgumentExpression(nameof(source))] string sourceName = "",
        [CallerArgumentExpression(nameof(result))] string resultName = ""
    )
    {
        Check.Operand(source, DType.F32, name: sourceName);
        Check.Operand(result, source, DType.F32, name: resultName);
        Check.SameDevice(table.Index.Device, source, nameof(table));
        if (source.Count != table.Sources)
        {
            throw new ArgumentException(
                $"{sourceName} is {source.Shape}, expected {table.Sources} elements as the table takes from",
                sourceName
            );
        }

        if (result.Count != table.Count)
        {
            throw new ArgumentException(
                $"{resultName} is {result.Shape}, expected {table.Count} elements as the table makes",
                resultName
            );
        }
    }
}
