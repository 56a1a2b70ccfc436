namespace Spectral.Training.Merging;

/// <summary>Squared norms and inner products of what the inputs hold of one tensor, in F64.</summary>
internal static class Norms
{
    /// <summary>Reads the values of an input in a piece.</summary>
    internal delegate ReadOnlySpan<float> Read(MergePiece piece, int input);

    /// <summary>Returns the squared Frobenius norm of each input.</summary>
    public static double[] Squares(MergeTensor tensor, Read read) =>
        tensor.Sum(
            tensor.Inputs,
            (piece, sums) =>
            {
                for (int i = 0; i < sums.Length; i++)
                {
                    ReadOnlySpan<float> values = read(piece, i);
                    sums[i] = Dot(values, values);
                }
            }
        );

    /// <summary>Returns the inner products of all pairs of changes, [inputs, inputs].</summary>
    public static double[] Products(MergeTensor tensor)
    {
        int n = tensor.Inputs;
        return tensor.Sum(
            n * n,
            (piece, sums) =>
            {
                for (int i = 0; i < n; i++)
                {
                    for (int j = 0; j <= i; j++)
                        sums[(i * n) + j] = sums[(j * n) + i] = Dot(piece.Change(i), piece.Change(j));
                }
            }
        );
    }

    /// <summary>Returns the inner product of two vectors of equal length.</summary>
    public static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
            sum += (double)a[i] * b[i];
        return sum;
    }
}
