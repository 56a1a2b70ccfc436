using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

/// <summary>
/// Matrices whose singular values are known by construction: a diagonal between random Householder reflections, in
/// double. A Gaussian sketch does not see rotations, so a few reflections are as general as any orthogonal factors.
/// </summary>
internal sealed class KnownMatrix
{
    public readonly int Rows;
    public readonly int Columns;
    public readonly double[] Sigma; // min(Rows, Columns), descending
    public readonly float[] Values; // row-major

    public KnownMatrix(Random rng, int rows, int columns, Func<int, double> sigma)
    {
        (Rows, Columns) = (rows, columns);
        int smaller = Math.Min(rows, columns);
        Sigma = Enumerable.Range(0, smaller).Select(sigma).ToArray();
        double[] a = new double[rows * columns];
        for (int i = 0; i < smaller; i++)
            a[i * columns + i] = Sigma[i];
        for (int repeat = 0; repeat < 3; repeat++)
        {
            Reflect(rng, a, columns, rows, stride: columns, step: 1);
            Reflect(rng, a, rows, columns, stride: 1, step: columns);
        }
        Array.Sort(Sigma, (x, y) => y.CompareTo(x));
        Values = Array.ConvertAll(a, x => (float)x);
    }

    /// <summary>√ of the sum of squares of the values from index k on: the best Frobenius residual of rank k.</summary>
    public double Tail(int k) => Math.Sqrt(Sigma.Skip(k).Sum(s => s * s));

    // The vectors of one side times I − 2 v vᵀ: `count` vectors of `length` entries; entry i of vector j at i·stride +
    // j·step.
    private static void Reflect(Random rng, double[] a, int count, int length, int stride, int step)
    {
        double[] v = Enumerable.Range(0, length).Select(_ => rng.NextNormal()).ToArray();
        double norm = Math.Sqrt(v.Sum(x => x * x));
        double[] dots = new double[count];
        for (int i = 0; i < length; i++)
        {
            v[i] /= norm;
            for (int j = 0; j < count; j++)
                dots[j] += v[i] * a[i * stride + j * step];
        }
        for (int i = 0; i < length; i++)
        {
            for (int j = 0; j < count; j++)
                a[i * stride + j * step] -= 2 * v[i] * dots[j];
        }
    }
}
