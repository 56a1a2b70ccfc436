using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ElementwiseTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly int[] Counts = [1, 3, 4, 7, 8, 9, 33, 1000, 5001];

    [Test]
    public void Sums([ValueSource(nameof(Counts))] int count, [ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor a = Input(count, type, out double[] av);
        Tensor b = Input(count, type, out double[] bv);
        Tensor y = Output(count, type);
        Add.Forward(a, b, y);
        double[] expected = av.Zip(bv, (x, z) => x + z).ToArray();
        Verify(y, expected);
        Add.Forward(a, b, b);
        Assert.That(b.ToArray(), Is.EqualTo(y.ToArray()), "in place");
        Add.Forward(a, a, a);
        Assert.That(
            Array.ConvertAll(a.ToArray(), x => (double)x),
            Is.EqualTo(Array.ConvertAll(av, x => 2 * x)),
            "all three the same"
        );
    }

    [Test]
    public void SumsAtOddAddresses([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor all = Input(4001, type, out double[] values);
        Tensor y = Output(4000, type);
        using Tensor tail = all.Rows(1, 4000);
        using Tensor head = all.Rows(0, 4000);
        Add.Forward(head, tail, y);
        Verify(y, values[..4000].Zip(values[1..], (x, z) => x + z).ToArray());
    }

    [Test]
    public void Scales([ValueSource(nameof(Counts))] int count, [ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor x = Input(count, type, out double[] values);
        Scale.Run(x, -0.3f);
        Verify(x, Array.ConvertAll(values, v => v * -0.3f));
    }

    [Test]
    public void Casts([ValueSource(nameof(Counts))] int count)
    {
        Tensor f32 = Input(count, DType.F32, out double[] values);
        Tensor bf16 = Output(count, DType.BF16);
        Tensor back = Output(count);
        Tensor copy = Output(count, DType.BF16);
        Cast.Run(f32, bf16);
        float[] rounded = Array.ConvertAll(values, v => BFloat16.Round((float)v));
        Assert.That(bf16.ToArray(), Is.EqualTo(rounded));
        Cast.Run(bf16, back);
        Assert.That(back.ToArray(), Is.EqualTo(rounded));
        Cast.Run(bf16, copy);
        Assert.That(copy.ToArray(), Is.EqualTo(rounded));
    }

    [Test]
    public void CastsSpecialValuesAndTies()
    {
        // 1 + 2^-8 lies halfway between two bf16 and goes to the even one, 1 + 3·2^-8 likewise upwards
        float[] values =
        [
            0f,
            -0f,
            1 + 1f / 256,
            1 + 3f / 256,
            float.MaxValue,
            float.PositiveInfinity,
            float.NegativeInfinity,
            float.NaN,
            1e-40f,
            3.14159f,
        ];
        Tensor f32 = Input(values, values.Length, DType.F32, out _);
        Tensor bf16 = Output(values.Length, DType.BF16);
        Cast.Run(f32, bf16);
        Assert.That(
            bf16.ToArray(),
            Is.EqualTo(
                new[]
                {
                    0f,
                    -0f,
                    1,
                    1 + 4f / 256,
                    float.PositiveInfinity,
                    float.PositiveInfinity,
                    float.NegativeInfinity,
                    float.NaN,
                    BFloat16.Round(1e-40f),
                    3.140625f,
                }
            )
        );
    }

    [Test]
    public void AddsABiasToEveryRow(
        [ValueSource(nameof(Sizes))] int columns,
        [Values(1, 9)] int rows,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        Tensor y = Input((rows, columns), type, out double[] values);
        Tensor bias = Input(columns, type, out double[] bv);
        AddBias.Run(y, bias);
        Verify(y, values.Select((v, i) => v + bv[i % columns]).ToArray());
    }

    [Test]
    public void EmptyWork()
    {
        Tensor none = Output((0, 4));
        Tensor noneHalf = Output((0, 4), DType.BF16);
        Add.Forward(none, none, none);
        Scale.Run(none, 2);
        Cast.Run(none, noneHalf);
        AddBias.Run(none, Output(4));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor a = Output((2, 4));
        Tensor half = Output((2, 4), DType.BF16);
        Tensor integers = Output((2, 4), DType.I32);
        Assert.That(
            () => Add.Forward(a, Output(8), a),
            Throws.ArgumentException.With.Message.Contains("b is [8], expected [2, 4]")
        );
        Assert.That(
            () => Add.Forward(a, half, a),
            Throws.ArgumentException.With.Message.Contains("b is BF16, expected F32")
        );
        Assert.That(() => Scale.Run(integers, 2), Throws.ArgumentException.With.Message.Contains("x is I32"));
        Assert.That(() => Cast.Run(integers, a), Throws.ArgumentException.With.Message.Contains("source is I32"));
        Assert.That(
            () => Cast.Run(a, Output((4, 2), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("destination is [4, 2], expected [2, 4]")
        );
        Assert.That(
            () => AddBias.Run(a, Output(2)),
            Throws.ArgumentException.With.Message.Contains("bias is [2], expected [4]")
        );
        using var gone = Tensor.Empty(Device, (2, 4));
        gone.Dispose();
        Assert.That(() => Add.Forward(a, gone, a), Throws.TypeOf<ObjectDisposedException>());
    }
}
