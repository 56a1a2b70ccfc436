using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Applies a function to every element, and multiplies gradients by its derivative. A NaN gives NaN in the forward
/// pass.
/// </summary>
public static class ElementwiseMap
{
    /// <summary>Computes <c>y = f(x)</c> for every element.</summary>
    /// <param name="x">Any shape, F32.</param>
    /// <param name="y">Shape of x, F32; written; may be x.</param>
    /// <param name="function">The function f.</param>
    /// <param name="floor">Least value, for the functions that have one.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor x, Tensor y, MapFunction function, float floor = 0) =>
        Run(x, null, y, ElementwiseMapArgs.Forward, function, floor, false);

    /// <summary>Computes <c>dx = dy ∘ f'(x) (+ dx)</c>, the adjoint of <see cref="Forward"/>.</summary>
    /// <param name="x">Any shape, F32: what forward was given.</param>
    /// <param name="dy">Shape of x, F32.</param>
    /// <param name="dx">Shape of x, F32; may be dy.</param>
    /// <param name="function">The function f.</param>
    /// <param name="floor">Floor given to <see cref="Forward"/>.</param>
    /// <param name="accumulate">Whether it is added to what dx holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(
        Tensor x,
        Tensor dy,
        Tensor dx,
        MapFunction function,
        float floor = 0,
        bool accumulate = false
    ) => Run(x, dy, dx, ElementwiseMapArgs.Backward, function, floor, accumulate);

    private static void Run(
        Tensor x,
        Tensor? dy,
        Tensor y,
        KernelEntry<ElementwiseMapArgs> kernels,
        MapFunction function,
        float floor,
        bool accumulate,
        [CallerArgumentExpression(nameof(y))] string yName = ""
    )
    {
        if (!Enum.IsDefined(function))
            throw new ArgumentOutOfRangeException(nameof(function), function, "no such function");
        Check.Operand(x, DType.F32);
        if (dy is not null)
            Check.SameAs(dy, x);
        Check.SameAs(y, x, yName);
        if (x.Count == 0)
            return;
        var args = new ElementwiseMapArgs
        {
            X = x.Pointer,
            Dy = dy?.Pointer ?? 0,
            Y = y.Pointer,
            Count = x.Count,
            Floor = floor,
            Accumulate = accumulate ? 1 : 0,
        };
        kernels.Launch(x.Device, (int)function, args, Launch.FlatBlocks(x.Count, DType.F32));
    }
}
