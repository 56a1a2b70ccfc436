namespace Spectral.Kernels.Ops;

/// <summary>
/// Says how the elements of a vector v are matched with those of a tensor x; the last dimension of x is the columns,
/// all others are rows.
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
