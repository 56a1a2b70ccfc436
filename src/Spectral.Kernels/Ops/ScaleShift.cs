using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Scales and shifts features, as IA3, SSF and the magnitudes of DoRA do with a layer's inputs or outputs.
/// </summary>
public static class ScaleShift
{
    private const int ChunkRows = 64;

    /// <summary>Computes y = scale ∘ x + shift for each column.</summary>
    /// <param name="x">[N, F] F32 or BF16.</param>
    /// <param name="scale">F elements, F32.</param>
    /// <param name="shift">[F] of the type of x; null: none.</param>
    /// <param name="y">[N, F], same type; overwritten, may be x.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor x, Tensor scale, Tensor? shift, Tensor y)
    {
        Check.Floating(x, [-1, -1]);
        VerifyVector(scale, x);
        if (shift is not null)
            Check.Operand(shift, x, [x.Dim(1)]);
        Check.SameAs(y, x);
        Run(x, scale, shift, y, false);
    }

    /// <summary>Computes dx (+)= scale ∘ dy, the gradient of what <see cref="Forward"/> scaled.</summary>
    /// <param name="dy">[N, F] F32 or BF16.</param>
    /// <param name="scale">F elements, F32.</param>
    /// <param name="dx">[N, F], same type; may be dy unless it is added to.</param>
    /// <param name="accumulate">Add to dx.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(Tensor dy, Tensor scale, Tensor dx, bool accumulate = false)
    {
        Check.Floating(dy, [-1, -1]);
        VerifyVector(scale, dy);
        Check.SameAs(dx, dy);
        Run(dy, scale, null, dx, accumulate);
    }

    /// <summary>
    /// Computes <c>dScale[j] (+)= Σᵢ dy[i, j] x[i, j]</c> in F32, in an order that depends on the shape alone.
    /// </summary>
    /// <param name="dy">[N, F] F32 or BF16.</param>
    /// <param name="x">[N, F], same type: what was scaled.</param>
    /// <param name="dScale">F elements, F32.</param>
    /// <param name="accumulate">Add to what it holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void ScaleGradient(Tensor dy, Tensor x, Tensor dScale, bool accumulate)
    {
        Check.Floating(dy, [-1, -1]);
        Check.SameAs(x, dy);
        VerifyVector(dScale, dy);
        if (dScale.Count == 0)
            return;
        if (dy.Count == 0)
        {
            if (!accumulate)
                dScale.Clear();
            return;
        }
        int rows = dy.Dim(0);
        int columns = dy.Dim(1);
        int chunk = Launch.Chunk(rows, ChunkRows);
        int chunks = Launch.Blocks(rows, chunk);
        using Tensor? partials = chunks == 1 ? null : Tensor.Empty(dy.Device, (chunks, columns));
        var args = new ScaleGradientArgs
        {
            Dy = dy.Pointer,
            X = x.Pointer,
            Sums = (partials ?? dScale).Pointer,
            Rows = rows,
            Columns = columns,
            Chunk = chunk,
            Accumulate = accumulate && partials is null ? 1 : 0,
        };
        ScaleGradientArgs.Kernel.Launch(
            dy.Device,
            dy.DType,
            args,
            (Launch.Blocks(columns, ScaleGradientArgs.Kernel.Threads * (16 / dy.DType.Size())), chunks)
        );
        if (partials is null)
            return;
        using Tensor flat = dScale.View(columns);
        BiasGradient.Run(partials, flat, accumulate);
    }

    private static void Run(Tensor x, Tensor scale, Tensor? shift, Tensor y, bool accumulate)
    {
        if (x.Count == 0)
            return;
        var args = new ScaleShiftArgs
        {
            X = x.Pointer,
            Scale = scale.Pointer,
            Shift = shift?.Pointer ?? 0,
            Y = y.Pointer,
            Rows = x.Dim(0),
            Columns = x.Dim(1),
            Chunk = Launch.Chunk(x.Dim(0), ChunkRows),
            Accumulate = accumulate ? 1 : 0,
        };
        ScaleShiftArgs.Kernel.Launch(
            x.Device,
            x.DType,
            args,
            (
                Launch.Blocks(args.Columns, ScaleShiftArgs.Kernel.Threads * (16 / x.DType.Size())),
                Launch.Blocks(args.Rows, args.Chunk)
            )
        );
    }

    // Stored scales may be [F, 1] or [1, F].
    private static void VerifyVector(
        Tensor vector,
        Tensor matrix,
        [CallerArgumentExpression(nameof(vector))] string name = ""
    )
    {
        Check.Operand(vector, matrix, DType.F32, name: name);
        if (vector.Count != matrix.Dim(1))
            throw new ArgumentException($"{name} is {vector.Shape}, expected {matrix.Dim(1)} elements", name);
    }
}
