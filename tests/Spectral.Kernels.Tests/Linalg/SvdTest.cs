using Spectral.Kernels.Interop;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

/// <summary>What every truncated SVD must satisfy, checked in double.</summary>
public abstract class SvdTest(DeviceKind kind) : DeviceTest(kind)
{
    /// <summary>
    /// Orthonormal factors, descending values, residual within a factor of the best possible and below the bound, signs
    /// by the convention.
    /// </summary>
    /// <param name="result">The decomposition.</param>
    /// <param name="a">The matrix, row-major.</param>
    /// <param name="tail">Best Frobenius residual of this rank, or null when unknown.</param>
    /// <param name="what">Named in messages.</param>
    protected static void VerifyFactors(SvdResult result, double[] a, double? tail, string what)
    {
        (int m, int k, int n) = (result.U.Dim(0), result.S.Dim(0), result.Vt.Dim(1));
        Assert.That((result.U.Dim(1), result.Vt.Dim(0)), Is.EqualTo((k, k)), what);
        double[] u = Doubles(result.U);
        double[] s = Doubles(result.S);
        double[] vt = Doubles(result.Vt);
        double[] ut = new double[k * m];
        for (int i = 0; i < m; i++)
        {
            for (int c = 0; c < k; c++)
                ut[c * m + i] = u[i * k + c];
        }

        Assert.That(Deviation(ut, k, m), Is.LessThanOrEqualTo(1e-5), $"{what}: U is orthonormal");
        Assert.That(Deviation(vt, k, n), Is.LessThanOrEqualTo(1e-5), $"{what}: V is orthonormal");
        for (int c = 0; c < k; c++)
        {
            Assert.That(s[c], Is.GreaterThanOrEqualTo(0), $"{what}: value {c}");
            if (c > 0)
                Assert.That(s[c], Is.LessThanOrEqualTo(s[c - 1]), $"{what}: values descend at {c}");
            Assert.That(
                s[c] == 0,
                Is.EqualTo(c >= result.NumericalRank),
                $"{what}: value {c} against the numerical rank {result.NumericalRank}"
            );
            ReadOnlySpan<double> row = vt.AsSpan(c * n, n);
            int largest = 0;
            for (int i = 1; i < n; i++)
            {
                if (Math.Abs(row[i]) > Math.Abs(row[largest]))
                    largest = i;
            }

            Assert.That(row[largest], Is.GreaterThan(0), $"{what}: sign of pair {c}");
        }
        if (tail is not { } best)
            return;
        double residual = Residual(a, ut, s, vt, m, n, k);
        double norm = Math.Sqrt(a.Sum(x => x * x));
        Assert.That(
            residual,
            Is.LessThanOrEqualTo(1.02 * best + 1e-6 * norm * Math.Sqrt(k)),
            $"{what}: Frobenius residual, best {best}"
        );
        Assert.That(
            result.ResidualBound * Math.Sqrt(Math.Min(m, n)),
            Is.GreaterThanOrEqualTo(residual - 1e-6 * norm),
            $"{what}: bound {result.ResidualBound}"
        );
    }

    /// <summary>
    /// Values at least 2.4 times the first left out to 10⁻⁴ of the largest, all others to a part of it.
    /// </summary>
    protected static void VerifyValues(SvdResult result, double[] sigma, double others, string what)
    {
        double[] s = Doubles(result.S);
        int k = s.Length;
        double next = k < sigma.Length ? sigma[k] : 0;
        for (int i = 0; i < k; i++)
        {
            Assert.That(
                s[i],
                Is.EqualTo(sigma[i]).Within((sigma[i] >= 2.4 * next ? 1e-4 : others) * sigma[0]),
                $"{what}: value {i} of {k}, σ₁ {sigma[0]}, σ_k+1 {next}"
            );
        }
    }

    /// <summary>
    /// Returns where to solve a small problem; skips the test if a block of the device cannot hold one of order n.
    /// </summary>
    private protected SmallProblems Where(bool oneBlock, int n)
    {
        if (!oneBlock)
            return SmallProblems.Library;
        int needed = JacobiSvdArgs.SharedBytes(n) + JacobiSvdArgs.Kernel.StaticSharedBytes;
        if (needed > Device.SharedBytesPerBlock)
            Assert.Ignore($"order {n} takes {needed} bytes of shared memory, {Device.Name} has fewer for a block");
        return SmallProblems.OneBlock;
    }

    protected static double[] Doubles(Tensor tensor) => Array.ConvertAll(tensor.ToArray(), x => (double)x);

    /// <summary>max |X Xᵀ − I| of rows.</summary>
    protected static double Deviation(double[] x, int rows, int length)
    {
        double worst = 0;
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double dot = i == j ? -1 : 0;
                for (int e = 0; e < length; e++)
                    dot += x[i * length + e] * x[j * length + e];
                if (!(Math.Abs(dot) <= worst))
                    worst = Math.Abs(dot); // a NaN wins
            }
        }

        return worst;
    }

    private static double Residual(double[] a, double[] ut, double[] s, double[] vt, int m, int n, int k)
    {
        double sum = 0;
        double[] row = new double[n];
        for (int i = 0; i < m; i++)
        {
            a.AsSpan(i * n, n).CopyTo(row);
            for (int c = 0; c < k; c++)
            {
                double factor = ut[c * m + i] * s[c];
                for (int j = 0; j < n; j++)
                    row[j] -= factor * vt[c * n + j];
            }
            for (int j = 0; j < n; j++)
                sum += row[j] * row[j];
        }
        return Math.Sqrt(sum);
    }
}
