namespace Spectral.Kernels.Ops;

/// <summary>Functions of one number.</summary>
public enum MapFunction
{
    /// <summary><c>1 / x</c>; infinite at 0.</summary>
    Reciprocal,

    /// <summary><c>√max(x, floor)</c>; the derivative is 0 where x is not above the floor.</summary>
    Sqrt,

    /// <summary><c>eˣ</c>.</summary>
    Exp,

    /// <summary>
    /// <c>max(x, floor)</c>, with floor 0 the ReLU; the derivative is 0 where x is not above the floor.
    /// </summary>
    Max,

    /// <summary><c>x²</c>.</summary>
    Square,

    /// <summary>1 or −1, and x itself where that is 0.</summary>
    Sign,

    /// <summary><c>cos x</c>, x in radians.</summary>
    Cos,

    /// <summary><c>sin x</c>, x in radians.</summary>
    Sin,
}
