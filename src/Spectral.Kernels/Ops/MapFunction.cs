namespace Spectral.Kernels.Ops;

/// <summary>Names the functions of one number that <see cref="ElementwiseMap"/> applies.</summary>
public enum MapFunction
{
    /// <summary><c>1 / x</c>; infinite at 0.</summary>
    Reciprocal,

    /// <summary><c>√max(x, floor)</c>; the derivative is 0 where x is not above the floor.</summary>
    Sqrt,

    /// <summary><c>eˣ</c>, the exponential function.</summary>
    Exp,

    /// <summary>
    /// <c>max(x, floor)</c>, with floor 0 the ReLU; the derivative is 0 where x is not above the floor.
    /// </summary>
    Max,

    /// <summary><c>x²</c>, the square of x.</summary>
    Square,

    /// <summary>1 or −1, and x itself where that is 0.</summary>
    Sign,

    /// <summary><c>cos x</c>, x in radians.</summary>
    Cos,

    /// <summary><c>sin x</c>, x in radians.</summary>
    Sin,
}
