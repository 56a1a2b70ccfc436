using System.Runtime.CompilerServices;

namespace Spectral.Kernels;

/// <summary>Up to four dimensions, outermost first, held by value so that making one allocates nothing.</summary>
public readonly struct Shape : IEquatable<Shape>
{
    [InlineArray(4)]
    private struct Dimensions
    {
        private int _first;
    }

    private readonly Dimensions _dimensions;

    private Shape(ReadOnlySpan<int> dimensions)
    {
        if (dimensions.Length > 4)
        {
            throw new ArgumentException(
                $"a tensor has at most 4 dimensions, not {dimensions.Length}",
                nameof(dimensions)
            );
        }

        Rank = dimensions.Length;
        long count = 1;
        for (int i = 0; i < Rank; i++)
        {
            if (dimensions[i] < 0)
            {
                throw new ArgumentException(
                    $"dimension {i} is {dimensions[i]}; a dimension is 0 or more",
                    nameof(dimensions)
                );
            }

            _dimensions[i] = dimensions[i];
            count = checked(count * dimensions[i]);
        }
        Count = count;
    }

    /// <summary>Number of dimensions, 0 to 4.</summary>
    public int Rank { get; }

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>Dimension <paramref name="index"/>, 0 being the outermost.</summary>
    public int this[int index] =>
        index >= 0 && index < Rank
            ? _dimensions[index]
            : throw new ArgumentOutOfRangeException(nameof(index), index, $"the shape is {this}");

    /// <summary>A shape from any number of dimensions up to 4.</summary>
    public static Shape Of(params ReadOnlySpan<int> dimensions) => new(dimensions);

    /// <summary>One dimension.</summary>
    public static implicit operator Shape(int d0) => new([d0]);

    /// <summary>Two dimensions: rows, columns.</summary>
    public static implicit operator Shape((int, int) d) => new([d.Item1, d.Item2]);

    /// <summary>Three dimensions.</summary>
    public static implicit operator Shape((int, int, int) d) => new([d.Item1, d.Item2, d.Item3]);

    /// <summary>Four dimensions.</summary>
    public static implicit operator Shape((int, int, int, int) d) => new([d.Item1, d.Item2, d.Item3, d.Item4]);

    /// <inheritdoc/>
    public bool Equals(Shape other)
    {
        if (Rank != other.Rank)
            return false;
        for (int i = 0; i < Rank; i++)
        {
            if (_dimensions[i] != other._dimensions[i])
                return false;
        }

        return true;
    }

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() =>
        HashCode.Combine(Rank, _dimensions[0], _dimensions[1], _dimensions[2], _dimensions[3]);

    /// <summary>True when rank and every dimension agree.</summary>
    public static bool operator ==(Shape a, Shape b) => a.Equals(b);

    /// <summary>True when rank or a dimension differs.</summary>
    public static bool operator !=(Shape a, Shape b) => !a.Equals(b);

    /// <summary>E.g. <c>[2, 3]</c>.</summary>
    public override string ToString()
    {
        string[] parts = new string[Rank];
        for (int i = 0; i < Rank; i++)
            parts[i] = _dimensions[i].ToString();
        return $"[{string.Join(", ", parts)}]";
    }
}
