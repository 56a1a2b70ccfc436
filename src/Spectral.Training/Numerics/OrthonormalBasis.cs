namespace Spectral.Training.Numerics;

/// <summary>
/// Orthonormal vectors to which further ones are added, on the host in double. Each new vector is orthogonalised twice
/// against all before it, after which nothing but rounding is left of them (Giraud, Langou and Rozložník, "The Loss of
/// Orthogonality in the Gram–Schmidt Orthogonalization Process", 2005).
/// </summary>
/// <param name="length">The length n of the vectors.</param>
internal sealed class OrthonormalBasis(int length)
{
    // What is left of a vector that lies in the span, relative to its length.
    private const double Dependent = 1e-10;

    private readonly List<double[]> _vectors = [];

    /// <summary>The number of vectors.</summary>
    public int Count => _vectors.Count;

    /// <summary>The vectors, one per row, [<see cref="Count"/>, n].</summary>
    public HostMatrix Rows
    {
        get
        {
            var rows = new HostMatrix(Count, length);
            for (int i = 0; i < Count; i++)
                _vectors[i].CopyTo(rows.Values, i * length);
            return rows;
        }
    }

    /// <summary>Adds the direction of a vector that is new to the span.</summary>
    /// <param name="vector">The vector [n], which is left alone.</param>
    /// <returns>Whether it was added; false: it lies in the span, or the basis is full.</returns>
    /// <exception cref="ArgumentException">The vector has another length.</exception>
    public bool Append(ReadOnlySpan<double> vector)
    {
        if (vector.Length != length)
            throw new ArgumentException($"a vector of {vector.Length} values, expected {length}", nameof(vector));
        double[] left = vector.ToArray();
        double whole = Norm(left);
        Remove(left);
        Remove(left);
        double norm = Norm(left);
        if (Count == length || !(norm > Dependent * whole))
            return false;
        for (int i = 0; i < left.Length; i++)
            left[i] /= norm;
        _vectors.Add(left);
        return true;
    }

    /// <summary>Returns the length of what a vector has outside the span.</summary>
    /// <param name="vector">The vector [n], which is left alone.</param>
    public double Residual(ReadOnlySpan<double> vector)
    {
        double[] left = vector.ToArray();
        Remove(left);
        Remove(left);
        return Norm(left);
    }

    private void Remove(double[] vector)
    {
        foreach (double[] direction in _vectors)
        {
            double along = HostMatrix.Dot(vector, direction);
            for (int i = 0; i < vector.Length; i++)
                vector[i] -= along * direction[i];
        }
    }

    private static double Norm(double[] vector) => Math.Sqrt(HostMatrix.Dot(vector, vector));
}
