using System.Runtime.CompilerServices;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Matches the elements of a vector with those of a matrix, for <see cref="BroadcastMultiply"/> and
/// <see cref="BroadcastDot"/>.
/// </summary>
internal static class BroadcastShape
{
    /// <summary>Checks x and v and returns the rows and columns of x.</summary>
    /// <exception cref="ArgumentException">A type or device does not fit, or v does not have the elements that the
    /// broadcast needs.</exception>
    public static (int Rows, int Columns) Of(
        Tensor x,
        Tensor v,
        Broadcast broadcast,
        [CallerArgumentExpression(nameof(x))] string xName = "",
        [CallerArgumentExpression(nameof(v))] string vName = ""
    )
    {
        Check.Operand(x, DType.F32, name: xName);
        Check.Operand(v, x, DType.F32, name: vName);
        int columns = x.Shape.Rank == 0 ? 1 : x.Dim(x.Shape.Rank - 1);
        int rows = columns == 0 ? 0 : checked((int)(x.Count / columns));
        if (broadcast == Broadcast.PerElement)
        {
            Check.SameAs(v, x, vName, xName);
            return (rows, columns);
        }

        int wanted = broadcast switch
        {
            Broadcast.PerRow => rows,
            Broadcast.PerColumn => columns,
            _ => 1,
        };
        if (x.Count > 0 && v.Count != wanted)
        {
            throw new ArgumentException(
                $"{vName} is {v.Shape}, expected {wanted} elements: {broadcast} of {xName} {x.Shape}",
                vName
            );
        }

        return (rows, columns);
    }
}
