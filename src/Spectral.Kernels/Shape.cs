using System.Runtime.CompilerServices;

namespace Spectral.Kernels;

/// <summary>Holds up to four dimensions, outermost first. It is a value, so making one allocates nothing.</summary>
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

    /// <summary>Number of dimensions, from 0 to 4.</summary>
    public int Rank { get; }

    /// <summary>Number of elements: the product of the dimensions, 1 without any.</summary>
    public long Count { get; }

    /// <summary>Length of dimension <paramref name="index"/>; 0 is the outermost.</summary>
    public int this[int index] =>
        index >= 0 && index < Rank
            ? _dimensions[index]
            : throw new ArgumentOutOfRangeException(nameof(index), index, $"the shape is {this}");

    /// <summary>Makes a shape of up to four dimensions, outermost first.</summary>
    public static Shape Of(params ReadOnlySpan<int> dimensions) => new(dimensions);

    /// <summary>Makes a shape of one dimension.</summary>
    public static implicit operator Shape(int d0) => new([d0]);

    /// <summary>Makes a shape of two dimensions: rows and columns.</summary>
    public static implicit operator Shape((int, int) d) => new([d.Item1, d.Item2]);

    /// <summary>Makes a shape of three dimensions, outermost first.</summary>
    public static implicit operator Shape((int, int, int) d) => new([d.Item1, d.Item2, d.Item3]);

    /// <summary>Makes a shape of four dimensions, outermost first.</summary>
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

    /// <summary>Returns true if the rank and every dimension are equal.</summary>
    public static bool operator ==(Shape a, Shape b) => a.Equals(b);

    /// <summary>Returns true if the rank or a dimension differs.</summary>
    public static bool operator !=(Shape a, Shape b) => !a.Equals(b);

    /// <summary>Writes the shape as errors show it, e.g. <c>[2, 3]</c>.</summary>
    public override string ToString()
    {
        string[] parts = new string[Rank];
        for (int i = 0; i < Rank; i++)
            parts[i] = _dimensions[i].ToString();
        return $"[{string.Join(", ", parts)}]";
    }
}
