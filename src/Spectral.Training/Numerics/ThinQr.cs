namespace Spectral.Training.Numerics;

/// <summary>
/// The thin QR decomposition Xᵀ = Q T of a matrix X [r, n] in double, by Householder reflections: about 4·n·r²
/// operations on the host. Q has orthonormal columns also where X has dependent rows.
/// </summary>
/// <param name="Directions">Qᵀ [k, n], k = min(r, n), one vector per row.</param>
/// <param name="Triangle">T [k, r], zero below its diagonal.</param>
internal sealed record ThinQr(HostMatrix Directions, HostMatrix Triangle)
{
    /// <summary>Decomposes Xᵀ, of which X [r, n] has the columns as rows.</summary>
    public static ThinQr Of(HostMatrix rows)
    {
        int n = rows.Columns;
        int count = Math.Min(rows.Rows, n);
        double[][] left = [.. Enumerable.Range(0, rows.Rows).Select(row => rows.Row(row).ToArray())];
        double[][] normals = new double[count][];
        for (int i = 0; i < count; i++)
        {
            normals[i] = Normal(left[i].AsSpan(i));
            for (int row = i; row < rows.Rows; row++)
                Reflect(left[row].AsSpan(i), normals[i]);
        }

        var triangle = new HostMatrix(count, rows.Rows);
        for (int row = 0; row < rows.Rows; row++)
        {
            for (int i = 0; i <= Math.Min(row, count - 1); i++)
                triangle.Values[(i * rows.Rows) + row] = left[row][i];
        }

        var directions = new HostMatrix(count, n);
        for (int i = count - 1; i >= 0; i--)
        {
            directions.Values[(i * n) + i] = 1;
            for (int row = i; row < count; row++)
                Reflect(directions.Values.AsSpan((row * n) + i, n - i), normals[i]);
        }

        return new ThinQr(directions, triangle);
    }

    /// <summary>
    /// Returns the unit normal of the mirror that takes a vector to a multiple of the first axis; zeros, which change
    /// nothing, for a zero vector.
    /// </summary>
    private static double[] Normal(ReadOnlySpan<double> vector)
    {
        double[] normal = vector.ToArray();
        double length = Math.Sqrt(HostMatrix.Dot(vector, vector));
        normal[0] += normal[0] < 0 ? -length : length; // away from zero, so that nothing cancels
        double norm = Math.Sqrt(HostMatrix.Dot(normal, normal));
        for (int i = 0; norm > 0 && i < normal.Length; i++)
            normal[i] /= norm;
        return normal;
    }

    private static void Reflect(Span<double> vector, ReadOnlySpan<double> normal)
    {
        double twice = 2 * HostMatrix.Dot(vector, normal);
        for (int i = 0; i < vector.Length; i++)
            vector[i] -= twice * normal[i];
    }
}
