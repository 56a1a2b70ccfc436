namespace Spectral.Kernels.Ops;

/// <summary>Says how the operands of a low-rank layer lie in memory.</summary>
internal enum LowRankLayout
{
    /// <summary>Every operand is a matrix of its own.</summary>
    Apart,

    /// <summary>Every operand is a matrix of its own, and dropout masks the x of the low-rank product.</summary>
    Dropped,

    /// <summary>W is columns of a wider matrix; the activations are matrices of their own.</summary>
    WideWeight,

    /// <summary>W is quantised; the activations are matrices of their own.</summary>
    Quantized,

    /// <summary>As <see cref="Quantized"/>, in codes that one kernel multiplies with as they are.</summary>
    QuantizedTiles,

    /// <summary>As <see cref="QuantizedTiles"/>, in codes of 4 bits.</summary>
    FourBitTiles,

    /// <summary>z stands behind x and L behind W in the same rows, or g behind dy and R below W.</summary>
    LaidOut,
}
