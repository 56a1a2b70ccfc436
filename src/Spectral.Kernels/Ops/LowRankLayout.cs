namespace Spectral.Kernels.Ops;

/// <summary>How the operands of a low-rank layer lie in memory.</summary>
internal enum LowRankLayout
{
    /// <summary>Each is a matrix of its own.</summary>
    Apart,

    /// <summary>As before, and dropout masks the x of the low-rank product.</summary>
    Dropped,

    /// <summary>W is columns of a wider matrix, activations are not.</summary>
    WideWeight,

    /// <summary>z behind x and L behind W in their rows, or g behind dy and R below W.</summary>
    LaidOut,
}
