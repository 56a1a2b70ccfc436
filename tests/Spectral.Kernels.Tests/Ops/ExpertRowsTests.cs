using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ExpertRowsTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void SumsTheRowsOfEachToken(
        [ValueSource(nameof(RowSizes))] int columns,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(1, 3)] int k
    )
    {
        const int N = 19;
        Tensor rows = Input((N * k, columns), type, out double[] values);
        Tensor weight = Input((N, k), DType.F32, out double[] factors);
        Tensor dy = Input((N, columns), type, out double[] upstream);
        int[] places = [.. Enumerable.Range(0, N * k).OrderBy(_ => Rng.Next())];
        Tensor place = Input(places, (N, k));
        (Tensor y, Tensor plain) = (Output((N, columns), type), Output((N, columns), type));
        Tensor dRows = Output((N * k, columns), type);
        Tensor onlyRows = Output((N * k, columns), type);
        (Tensor dWeight, Tensor onlyWeight) = (Output((N, k)), Output((N, k)));
        double[] sums = new double[N * columns];
        double[] terms = new double[N * columns];
        double[] plainSums = new double[N * columns];
        double[] plainTerms = new double[N * columns];
        double[] toRows = new double[N * k * columns];
        double[] toWeight = new double[N * k];
        double[] weightTerms = new double[N * k];
        for (int i = 0; i < N * k; i++)
        {
            for (int c = 0; c < columns; c++)
            {
                (int token, int row) = (i / k * columns + c, places[i] * columns + c);
                sums[token] += factors[i] * values[row];
                terms[token] += Math.Abs(factors[i] * values[row]);
                plainSums[token] += values[row];
                plainTerms[token] += Math.Abs(values[row]);
                toRows[row] = factors[i] * upstream[token];
                toWeight[i] += values[row] * upstream[token];
                weightTerms[i] += Math.Abs(values[row] * upstream[token]);
            }
        }

        ExpertRows.Combine(rows, place, weight, y);
        ExpertRows.Combine(rows, place, null, plain);
        ExpertRows.Backward(dy, place, weight, rows, dRows, dWeight);
        ExpertRows.Backward(dy, place, weight, null, onlyRows, null);
        ExpertRows.Backward(dy, place, weight, rows, null, onlyWeight);

        Verify(y, sums, terms, k);
        Verify(plain, plainSums, plainTerms, k);
        Verify(dRows, toRows);
        Verify(dWeight, toWeight, weightTerms, columns);
        Assert.That(onlyRows.ToArray(), Is.EqualTo(dRows.ToArray()));
        Assert.That(onlyWeight.ToArray(), Is.EqualTo(dWeight.ToArray()));
    }

    [Test]
    public void APlaceOutsideGivesNaN()
    {
        Tensor rows = Input((4, 5), DType.F32, out _);
        Tensor weight = Input((2, 2), DType.F32, out _);
        Tensor place = Input([0, 4, 2, 3], (2, 2));
        Tensor y = Output((2, 5));
        Tensor dWeight = Output((2, 2));
        ExpertRows.Combine(rows, place, weight, y);
        ExpertRows.Backward(Input((2, 5), DType.F32, out _), place, weight, rows, Output((4, 5)), dWeight);
        Assert.That(y.ToArray()[..5], Is.All.NaN);
        Assert.That(y.ToArray()[5..], Is.All.Not.NaN);
        Assert.That(Array.ConvertAll(dWeight.ToArray(), float.IsNaN), Is.EqualTo(new[] { false, true, false, false }));
    }

    [Test]
    public void NothingToDo()
    {
        Tensor place = Input([], (0, 2));
        Tensor weight = Output((0, 2));
        ExpertRows.Combine(Output((0, 4)), place, weight, Output((0, 4)));
        ExpertRows.Backward(Output((0, 4)), place, weight, null, Output((0, 4)), null);
        Tensor dWeight = Output((1, 1));
        ExpertRows.Backward(Output((1, 0)), Input([0], (1, 1)), Output((1, 1)), Output((1, 0)), null, dWeight);
        Assert.That(dWeight.ToArray(), Is.All.Zero);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        (Tensor rows, Tensor y) = (Output((4, 3)), Output((2, 3)));
        Tensor place = Output((2, 2), DType.I32);
        Tensor weight = Output((2, 2));
        Assert.That(
            () => ExpertRows.Combine(Output((3, 3)), place, weight, y),
            Throws.ArgumentException.With.Message.Contains("rows is [3, 3], expected [4, 3]")
        );
        Assert.That(
            () => ExpertRows.Combine(rows, place, Output((2, 3)), y),
            Throws.ArgumentException.With.Message.Contains("weight is [2, 3], expected [2, 2]")
        );
        Assert.That(
            () => ExpertRows.Combine(rows, Output((2, 2)), weight, y),
            Throws.ArgumentException.With.Message.Contains("place is F32, expected I32")
        );
        Assert.That(
            () => ExpertRows.Backward(y, place, weight, null, rows, Output((2, 2))),
            Throws.ArgumentException.With.Message.Contains("only one of them is given, expected both or none")
        );
        Assert.That(
            () => ExpertRows.Backward(y, place, weight, null, Output((4, 3), DType.BF16), null),
            Throws.ArgumentException.With.Message.Contains("dRows is BF16, expected F32")
        );
    }
}
