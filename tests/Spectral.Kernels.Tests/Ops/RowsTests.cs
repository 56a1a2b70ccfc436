using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RowsTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void GatherTakesTheIndexedRows(
        [ValueSource(nameof(Sizes))] int columns,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        const int N = 19;
        const int K = 41;
        Tensor x = Input((N, columns), type, out double[] values);
        Tensor y = Output((K, columns), type);
        int[] index = Enumerable.Range(0, K).Select(_ => Rng.Next(N)).ToArray();
        Rows.Gather(x, Input(index, K), y);
        double[] expected = index.SelectMany(row => values.Skip(row * columns).Take(columns)).ToArray();
        Assert.That(Array.ConvertAll(y.ToArray(), v => (double)v), Is.EqualTo(expected));
    }

    [Test]
    public void AnIndexOutsideGivesNaN([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor x = Input((3, 33), type, out double[] values);
        Tensor y = Input((4, 33), type, out _);
        Rows.Gather(x, Input([3, 1, -1, int.MinValue], 4), y);
        float[] result = y.ToArray();
        for (int i = 0; i < result.Length; i++)
            Assert.That(result[i], i / 33 == 1 ? Is.EqualTo((float)values[i]) : Is.NaN);
    }

    [Test]
    public void ScatterPutsRowsBackAndZeroesTheRest(
        [ValueSource(nameof(Sizes))] int columns,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        const int N = 37;
        const int K = 17;
        Tensor y = Input((K, columns), type, out double[] values);
        Tensor x = Output((N, columns), type);
        int[] index = Enumerable.Range(0, N).OrderBy(_ => Rng.Next()).Take(K).ToArray();
        index[3] = -1;
        index[4] = N;
        Rows.Scatter(y, Input(index, K), x);
        double[] expected = new double[N * columns];
        for (int k = 0; k < K; k++)
        {
            if (k is not (3 or 4))
                Array.Copy(values, k * columns, expected, index[k] * columns, columns);
        }

        Assert.That(Array.ConvertAll(x.ToArray(), v => (double)v), Is.EqualTo(expected));
    }

    [Test]
    public void EmptyWork()
    {
        Tensor x = Input((3, 4), DType.F32, out _);
        Tensor none = Output((0, 4));
        Tensor noIndex = Output(0, DType.I32);
        Rows.Gather(x, noIndex, none);
        Rows.Scatter(none, noIndex, x);
        Assert.That(x.ToArray(), Is.All.Zero);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output((3, 4));
        Tensor index = Output(2, DType.I32);
        Tensor y = Output((2, 4));
        Assert.That(
            () => Rows.Gather(x, index, Output((2, 5))),
            Throws.ArgumentException.With.Message.Contains("y is [2, 5], expected [2, 4]")
        );
        Assert.That(
            () => Rows.Gather(x, index, Output((2, 4), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("y is BF16, expected F32")
        );
        Assert.That(
            () => Rows.Gather(x, Output(2), y),
            Throws.ArgumentException.With.Message.Contains("index is F32, expected I32")
        );
        Assert.That(
            () => Rows.Scatter(y, index, Output(12)),
            Throws.ArgumentException.With.Message.Contains("x is [12]")
        );
        using var gone = Tensor.Empty(Device, (3, 4));
        gone.Dispose();
        Assert.That(() => Rows.Gather(gone, index, y), Throws.TypeOf<ObjectDisposedException>());
    }
}
