using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class EntriesTests(DeviceKind kind) : DeviceTest(kind)
{
    private const int Rows = 13;

    [Test]
    public void GatherReadsTheEntriesAndZeroOutside(
        [ValueSource(nameof(Sizes))] int columns,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        Tensor x = Input((Rows, columns), type, out double[] matrix);
        int[] index = WithUnused(Distinct(matrix.Length), matrix.Length);
        Tensor values = Output(index.Length);
        Entries.Gather(x, Input(index, index.Length), values);
        double[] expected = Array.ConvertAll(index, at => at >= 0 && at < matrix.Length ? matrix[at] : 0);
        Assert.That(Array.ConvertAll(values.ToArray(), value => (double)value), Is.EqualTo(expected));
    }

    [Test]
    public void AddChangesTheEntriesAndNothingElse(
        [ValueSource(nameof(Sizes))] int columns,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        const float Scale = -1.5f;
        Tensor x = Input((Rows, columns), type, out double[] matrix);
        int[] index = WithUnused(Distinct(matrix.Length), matrix.Length);
        Tensor values = Input(index.Length, DType.F32, out double[] added);
        Entries.Add(values, Input(index, index.Length), x, Scale);
        double[] expected = [.. matrix];
        HashSet<int> changed = [];
        foreach ((int at, double value) in index.Zip(added))
        {
            if (at < 0 || at >= matrix.Length)
                continue;
            expected[at] += Scale * value;
            changed.Add(at);
        }

        Verify(x, expected);
        float[] result = x.ToArray();
        Assert.That(
            Enumerable.Range(0, result.Length).Where(i => !changed.Contains(i) && result[i] != matrix[i]),
            Is.Empty,
            "entries beside the index"
        );
    }

    [Test]
    public void EmptyWork()
    {
        Tensor x = Input((3, 4), DType.F32, out double[] matrix);
        Entries.Gather(x, Output(0, DType.I32), Output(0));
        Entries.Add(Output(0), Output(0, DType.I32), x);
        Assert.That(Array.ConvertAll(x.ToArray(), value => (double)value), Is.EqualTo(matrix));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor x = Output((3, 4));
        Assert.That(
            () => Entries.Gather(x, Output(2), Output(2)),
            Throws.ArgumentException.With.Message.Contains("index is F32, expected I32")
        );
        Assert.That(
            () => Entries.Gather(x, Output(2, DType.I32), Output(3)),
            Throws.ArgumentException.With.Message.Contains("values is [3], expected [2]")
        );
        Assert.That(
            () => Entries.Add(Output(2, DType.BF16), Output(2, DType.I32), x),
            Throws.ArgumentException.With.Message.Contains("values is BF16, expected F32")
        );
        Assert.That(
            () => Entries.Add(Output(2), Output(2, DType.I32), Output((3, 4), DType.I32)),
            Throws.ArgumentException.With.Message.Contains("x is I32, expected F32 or BF16")
        );
    }

    private int[] Distinct(int size) => [.. Enumerable.Range(0, size).OrderBy(_ => Rng.Next()).Take((size + 2) / 3)];

    private static int[] WithUnused(int[] index, int size) => [.. index, -1, size, int.MinValue, int.MaxValue];
}
