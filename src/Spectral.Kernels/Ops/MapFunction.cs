namespace Spectral.Kernels.Ops;

/// <summary>Names functions of one number for <see cref="ElementwiseMap"/>.</summary>
public enum MapFunction
{
    /// <summary>Reciprocal <c>1 / x</c>; infinite at 0.</summary>
    Reciprocal,

    /// <summary>Square root <c>√max(x, floor)</c>; the derivative is 0 where x is not above the floor.</summary>
    Sqrt,

    /// <summary>Exponential function <c>eˣ</c> of each element.</summary>
    Exp,

    /// <summary>
    /// Maximum <c>max(x, floor)</c>, with floor 0 the ReLU; the derivative is 0 where x is not above the floor.
    /// </summary>
    Max,

    /// <summary>Square <c>x²</c> of each element.</summary>
    Square,

    /// <summary>Sign of x: 1 or −1, and x itself where that is 0.</summary>
    Sign,

    /// <summary>Cosine <c>cos x</c>, x in radians.</summary>
    Cos,

    /// <summary>Sine <c>sin x</c>, x in radians.</summary>
    Sin,
}
