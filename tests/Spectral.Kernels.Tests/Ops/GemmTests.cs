using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class GemmTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly (int M, int N, int K)[] Products =
    [
        (1, 1, 1),
        (7, 33, 5),
        (33, 7, 127),
        (130, 65, 40),
        (3, 1000, 16),
        (513, 17, 700),
    ];

    [Test]
    public void MatchesTheReference(
        [ValueSource(nameof(Products))] (int M, int N, int K) size,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool ta,
        [Values] bool tb,
        [Values] bool f32Result
    )
    {
        (int m, int n, int k) = size;
        Tensor a = Input(ta ? (k, m) : (m, k), type, out double[] av);
        Tensor b = Input(tb ? (n, k) : (k, n), type, out double[] bv);
        Tensor c = Output((m, n), f32Result ? DType.F32 : type);
        Gemm.Run(new GemmMatrix(a, ta), new GemmMatrix(b, tb), c);
        (double[] expected, double[] terms) = Reference(av, ta, bv, tb, m, n, k);
        Verify(c, expected, terms, k);
    }

    [Test]
    public void AddsToWhatIsThere([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor a = Input((33, 20), type, out double[] av);
        Tensor b = Input((20, 17), type, out double[] bv);
        Tensor c = Input((33, 17), type, out double[] cv);
        Gemm.Run(a, b, c, alpha: 0.5f, beta: 2);
        (double[] product, double[] terms) = Reference(av, false, bv, false, 33, 17, 20);
        Verify(
            c,
            product.Select((p, i) => 0.5 * p + 2 * cv[i]).ToArray(),
            terms.Select((t, i) => t + 2 * Math.Abs(cv[i])).ToArray(),
            21
        );
    }

    [Test]
    public void BatchesOfSubmatricesStayWithinTheirBounds([ValueSource(nameof(FloatTypes))] DType type)
    {
        const int Batch = 5;
        const int M = 9;
        const int N = 12;
        const int K = 8;
        const int Lda = 11; // A: columns 2..9 of an 11-column matrix
        Tensor a = Input((Batch * M, Lda), type, out double[] av);
        Tensor b = Input((Batch, N, K), type, out double[] bv);
        Tensor c = Output((Batch, M, N), type);
        Gemm.Run(
            new GemmOperand(a, 2, Lda, M * Lda),
            new GemmOperand(b, 0, K, N * K).Transpose(),
            new GemmOperand(c, 0, N, M * N),
            new GemmSize(M, N, K, Batch)
        );
        double[] expected = new double[Batch * M * N];
        double[] terms = new double[expected.Length];
        for (int i = 0; i < Batch; i++)
        {
            for (int row = 0; row < M; row++)
            {
                for (int column = 0; column < N; column++)
                {
                    for (int x = 0; x < K; x++)
                    {
                        double term = av[(i * M + row) * Lda + 2 + x] * bv[(i * N + column) * K + x];
                        expected[(i * M + row) * N + column] += term;
                        terms[(i * M + row) * N + column] += Math.Abs(term);
                    }
                }
            }
        }

        Verify(c, expected, terms, K);
    }

    [Test]
    public void EmptyProducts()
    {
        Tensor a = Output((0, 4));
        Tensor b = Output((4, 3));
        Tensor c = Output((0, 3));
        Tensor d = Output((3, 3));
        Tensor e = Output((3, 0));
        Tensor f = Output((0, 3));
        Gemm.Run(a, b, c);
        Gemm.Run(e, f, d);
        Assert.That(d.ToArray(), Is.All.EqualTo(0f));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor a = Output((2, 3));
        Tensor b = Output((4, 5));
        Tensor c = Output((2, 5));
        Tensor h = Output((3, 5), DType.BF16);
        Assert.That(() => Gemm.Run(a, b, c), Throws.ArgumentException.With.Message.Contains("inner dimension is 4"));
        Assert.That(
            () => Gemm.Run(a, Gemm.Transposed(b), c),
            Throws.ArgumentException.With.Message.Contains("inner dimension is 5")
        );
        Assert.That(() => Gemm.Run(a, h, c), Throws.ArgumentException.With.Message.Contains("expected F32"));
        Assert.That(
            () =>
                Gemm.Run(
                    new GemmOperand(a, 1, 3),
                    new GemmOperand(b, 0, 5),
                    new GemmOperand(c, 0, 5),
                    new GemmSize(2, 5, 3)
                ),
            Throws.ArgumentException.With.Message.Contains("does not fit")
        );
    }

    private static (double[] Product, double[] Terms) Reference(
        double[] a,
        bool ta,
        double[] b,
        bool tb,
        int m,
        int n,
        int k
    )
    {
        double[] product = new double[m * n];
        double[] terms = new double[m * n];
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < n; j++)
            {
                for (int x = 0; x < k; x++)
                {
                    double term = a[ta ? x * m + i : i * k + x] * b[tb ? j * k + x : x * n + j];
                    product[i * n + j] += term;
                    terms[i * n + j] += Math.Abs(term);
                }
            }
        }

        return (product, terms);
    }
}
