using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Reads single entries of a matrix, and adds to them. An entry's place counts row by row. Places outside the matrix,
/// such as −1 for a slot that is not in use, read as 0 and are not added to.
/// </summary>
public static class Entries
{
    /// <summary>Computes <c>values[k] = x[index[k]]</c>.</summary>
    /// <param name="x">F32 or BF16 of any shape, fewer than 2³¹ elements.</param>
    /// <param name="index">[K] I32.</param>
    /// <param name="values">[K] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Gather(Tensor x, Tensor index, Tensor values) => Run(EntriesArgs.Gather, x, index, values, 0);

    /// <summary>Computes <c>x[index[k]] += scale · values[k]</c>, rounded once to the type of x.</summary>
    /// <param name="values">[K] F32.</param>
    /// <param name="index">[K] I32, distinct where inside.</param>
    /// <param name="x">F32 or BF16 of any shape, fewer than 2³¹ elements.</param>
    /// <param name="scale">Factor of the values.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Add(Tensor values, Tensor index, Tensor x, float scale = 1) =>
        Run(EntriesArgs.Add, x, index, values, scale);

    /// <summary>Checks that each element of a matrix has a place that an I32 can hold.</summary>
    internal static int Places(Shape shape, string name) =>
        shape.Count <= int.MaxValue
            ? (int)shape.Count
            : throw new ArgumentException(
                $"{name} is {shape}, expected at most {int.MaxValue} elements, as places are I32",
                name
            );

    private static void Run(KernelEntry<EntriesArgs> kernel, Tensor x, Tensor index, Tensor values, float scale)
    {
        Check.Floating(x);
        Check.Operand(index, x, DType.I32, [-1]);
        Check.Operand(values, x, DType.F32, [index.Dim(0)]);
        int size = Places(x.Shape, nameof(x));
        if (values.Count == 0)
            return;
        var args = new EntriesArgs
        {
            X = x.Pointer,
            Index = index.Pointer,
            Values = values.Pointer,
            Size = size,
            Count = index.Dim(0),
            Scale = scale,
        };
        kernel.Launch(x.Device, x.DType, args, Launch.Blocks(args.Count, Launch.FlatThreads));
    }
}
