using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SampledProductTests(DeviceKind kind) : DeviceTest(kind)
{
    private const int Rows = 19;
    private const int Columns = 23;
    private const float Scale = 0.75f;

    [Test]
    public void EveryEntryIsThatOfTheDenseProduct(
        [ValueSource(nameof(Sizes))] int tokens,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool accumulate
    )
    {
        Tensor dy = Input((tokens, Rows), type, out double[] gradients);
        Tensor x = Input((tokens, Columns), type, out double[] inputs);
        int[] index =
        [
            .. Enumerable.Range(0, Rows * Columns).Where(_ => Rng.Next(3) == 0),
            -1,
            Rows * Columns,
            Rows * Columns - 1,
        ];
        double[] held = new double[index.Length];
        Tensor values = accumulate ? Input(index.Length, DType.F32, out held) : Output(index.Length);
        SampledProduct.Run(dy, x, Input(index, index.Length), values, Scale, accumulate);
        double[] expected = new double[index.Length];
        double[] magnitude = new double[index.Length];
        for (int k = 0; k < index.Length; k++)
        {
            double sum = 0;
            double size = 0;
            if (index[k] is >= 0 and < Rows * Columns)
            {
                for (int t = 0; t < tokens; t++)
                {
                    double term = gradients[t * Rows + index[k] / Columns] * inputs[t * Columns + index[k] % Columns];
                    (sum, size) = (sum + term, size + Math.Abs(term));
                }
            }

            expected[k] = Scale * sum + (accumulate ? held[k] : 0);
            magnitude[k] = Scale * size + (accumulate ? Math.Abs(held[k]) : 0);
        }

        Verify(values, expected, magnitude, tokens);
    }

    [Test]
    public void TheSameCallGivesTheSameBits()
    {
        Tensor dy = Input((127, Rows), DType.F32, out _);
        Tensor x = Input((127, Columns), DType.F32, out _);
        Tensor index = Input([.. Enumerable.Range(0, Rows * Columns)], Rows * Columns);
        Tensor first = Output(Rows * Columns);
        Tensor second = Output(Rows * Columns);
        SampledProduct.Run(dy, x, index, first);
        SampledProduct.Run(dy, x, index, second);
        Assert.That(second.ToArray(), Is.EqualTo(first.ToArray()));
    }

    [Test]
    public void WithoutTokensTheSumsAreZero()
    {
        Tensor values = Output(2);
        SampledProduct.Run(Output((0, Rows)), Output((0, Columns)), Input([3, 0], 2), values);
        SampledProduct.Run(Output((5, Rows)), Output((5, Columns)), Output(0, DType.I32), Output(0));
        Assert.That(values.ToArray(), Is.All.Zero);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor dy = Output((5, Rows));
        Tensor x = Output((5, Columns));
        Assert.That(
            () => SampledProduct.Run(dy, Output((4, Columns)), Output(2, DType.I32), Output(2)),
            Throws.ArgumentException.With.Message.Contains("x is [4, 23], expected [5, any]")
        );
        Assert.That(
            () => SampledProduct.Run(dy, Output((5, Columns), DType.BF16), Output(2, DType.I32), Output(2)),
            Throws.ArgumentException.With.Message.Contains("x is BF16, expected F32 as dy is")
        );
        Assert.That(
            () => SampledProduct.Run(dy, x, Output(2), Output(2)),
            Throws.ArgumentException.With.Message.Contains("index is F32, expected I32")
        );
        Assert.That(
            () => SampledProduct.Run(dy, x, Output(2, DType.I32), Output(1)),
            Throws.ArgumentException.With.Message.Contains("values is [1], expected [2]")
        );
    }
}
