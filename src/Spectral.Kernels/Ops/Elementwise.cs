using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Adds two tensors element by element.</summary>
public static class Add
{
    /// <summary>Computes <c>y = a + b</c>.</summary>
    /// <param name="a">Any shape, F32 or BF16.</param>
    /// <param name="b">Shape and type of a.</param>
    /// <param name="y">Shape and type of a; may be a or b.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor a, Tensor b, Tensor y)
    {
        Check.Floating(a);
        Check.SameAs(b, a);
        Check.SameAs(y, a);
        if (a.Count == 0)
            return;
        var args = new AddArgs
        {
            A = a.Pointer,
            B = b.Pointer,
            Y = y.Pointer,
            Count = a.Count,
        };
        AddArgs.Kernel.Launch(a.Device, a.DType, args, Launch.FlatBlocks(a.Count, a.DType));
    }
}

/// <summary>Multiplies a tensor by a number.</summary>
public static class Scale
{
    /// <summary>Computes <c>x = factor · x</c> in place.</summary>
    /// <param name="x">Any shape, F32 or BF16.</param>
    /// <param name="factor">The number that every element is multiplied by.</param>
    /// <exception cref="ArgumentException">The type does not fit.</exception>
    public static void Run(Tensor x, float factor)
    {
        Check.Floating(x);
        if (x.Count == 0)
            return;
        var args = new ScaleArgs
        {
            X = x.Pointer,
            Count = x.Count,
            Factor = factor,
        };
        ScaleArgs.Kernel.Launch(x.Device, x.DType, args, Launch.FlatBlocks(x.Count, x.DType));
    }
}

/// <summary>Converts between F32 and BF16.</summary>
public static class Cast
{
    private const int ElementsPerThread = 8;

    /// <summary>
    /// Computes <c>destination = source</c>, rounding to nearest even where the type gets narrower; between equal types
    /// it copies.
    /// </summary>
    /// <param name="source">Any shape, F32 or BF16.</param>
    /// <param name="destination">Shape of the source, F32 or BF16; written. Must not overlap the source.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor source, Tensor destination)
    {
        Check.Floating(source);
        Check.Floating(destination, source);
        Check.SameShape(destination, source);
        if (source.Count == 0)
            return;
        if (source.DType == destination.DType)
        {
            destination.CopyFrom(source);
            return;
        }
        var args = new CastArgs
        {
            X = source.Pointer,
            Y = destination.Pointer,
            Count = source.Count,
        };
        CastArgs.Kernel.Launch(
            source.Device,
            source.DType,
            args,
            Launch.Blocks(args.Count, Launch.FlatThreads * ElementsPerThread)
        );
    }
}

/// <summary>Adds a bias to every row of a matrix.</summary>
public static class AddBias
{
    /// <summary>Computes <c>y[i, j] += bias[j]</c> in place.</summary>
    /// <param name="y">[N, F] F32 or BF16.</param>
    /// <param name="bias">[F], type of y.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor y, Tensor bias)
    {
        Check.Floating(y, [-1, -1]);
        Check.Operand(bias, y, [y.Dim(1)]);
        if (y.Count == 0)
            return;
        var args = new AddBiasArgs
        {
            Y = y.Pointer,
            Bias = bias.Pointer,
            Rows = y.Dim(0),
            Columns = y.Dim(1),
        };
        AddBiasArgs.Kernel.Launch(y.Device, y.DType, args, Launch.RowBlocks(args.Rows));
    }
}
