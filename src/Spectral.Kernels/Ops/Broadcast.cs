namespace Spectral.Kernels.Ops;

/// <summary>
/// How the elements of a vector meet those of a matrix; the last dimension of a tensor is the columns, all others are
/// rows.
/// </summary>
public enum Broadcast
{
    /// <summary>v has the shape of x.</summary>
    PerElement,

    /// <summary>v has one element for each row.</summary>
    PerRow,

    /// <summary>v has one element for each column.</summary>
    PerColumn,

    /// <summary>v is one number.</summary>
    Single,
}
