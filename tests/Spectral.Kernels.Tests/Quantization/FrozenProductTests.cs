using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Quantization;

/// <summary>
/// Products with a frozen weight against sums in double: of the dequantised values, rounded to the type that the
/// product is computed in.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class FrozenProductTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly WeightFormat[] Formats = Enum.GetValues<WeightFormat>();

    private static readonly (int, int, int)[] Shapes = [(5, 136, 264), (1, 7, 33), (8, 9, 300), (130, 65, 40)];

    [TearDown]
    public void ByRuleAgain()
    {
        FrozenProduct.Force(Device, null);
        LowRankLinear.Force(Device, null);
    }

    [Test]
    public void ForwardIsTheProductOfTheDequantisedWeight(
        [ValueSource(nameof(Formats))] WeightFormat format,
        [Values(QuantizedVariant.Panel, QuantizedVariant.Matvec)] QuantizedVariant variant,
        [ValueSource(nameof(FloatTypes))] DType type,
        [ValueSource(nameof(Shapes))] (int M, int N, int K) shape,
        [Values(0f, 1f)] float beta,
        [Values(Placed.Alone, Placed.Odd)] Placed placed
    )
    {
        (int m, int n, int k) = shape;
        using QuantizedMatrix weight = Weight(format, n, k, type, out double[] w);
        ColumnRange x = InputColumns(m, k, type, placed, out double[] xs);
        ColumnRange y = InputColumns(m, n, type, placed, out double[] old);
        FrozenProduct.Force(Device, variant);
        FrozenProduct.Forward(x, weight, y, beta);
        Require(y, old, beta, m, n, k, (i, j, l) => xs[i * k + l] * w[j * k + l]);
    }

    [Test]
    public void InputGradientIsTheAdjoint(
        [ValueSource(nameof(Formats))] WeightFormat format,
        [ValueSource(nameof(FloatTypes))] DType type,
        [ValueSource(nameof(Shapes))] (int M, int N, int K) shape,
        [Values(0f, 1f)] float beta,
        [Values(Placed.Alone, Placed.Odd)] Placed placed
    )
    {
        (int m, int n, int k) = shape;
        using QuantizedMatrix weight = Weight(format, n, k, type, out double[] w);
        ColumnRange dy = InputColumns(m, n, type, placed, out double[] dys);
        ColumnRange dx = InputColumns(m, k, type, placed, out double[] old);
        FrozenProduct.InputGradient(dy, weight, dx, beta);
        Require(dx, old, beta, m, k, n, (i, j, l) => dys[i * n + l] * w[l * k + j]);
    }

    private static readonly QuantizedLayout[] Tiled =
    [
        QuantizedLayout.For(WeightFormat.Nf4),
        QuantizedLayout.For(WeightFormat.Fp4),
        QuantizedLayout.For(WeightFormat.Mxfp4),
        new(WeightFormat.Nf4, ScaleGrid.Flat(32)),
        new(WeightFormat.Nf4, ScaleGrid.PerRow),
        QuantizedLayout.For(WeightFormat.Int8),
        QuantizedLayout.For(WeightFormat.Fp8),
        new(WeightFormat.Fp8, ScaleGrid.Tiles(3, 32)),
    ];

    // One tile; tiles that are cut on all sides; more groups of tile rows than one.
    private static readonly (int, int, int)[] TiledShapes =
    [
        (128, 128, 64),
        (131, 72, 160),
        (5, 264, 32),
        (1100, 40, 96),
    ];

    private static readonly QuantizedLayout[] FourBits = [.. Tiled.Where(layout => layout.Format.Bits() == 4)];

    // Of the Hopper kernel's: tails on all sides, more slices of 64 than stages, several tiles for a block.
    private static readonly (int, int, int)[] HopperShapes = [(5, 72, 32), (131, 264, 544), (300, 520, 96)];

    /// <summary>The kernel whose blocks dequantise tiles, by itself; the device records that it ran.</summary>
    [Test]
    public void FusedTilesAreTheProductToo(
        [ValueSource(nameof(Tiled))] QuantizedLayout layout,
        [ValueSource(nameof(TiledShapes))] (int M, int N, int K) shape,
        [Values(0f, 1f)] float beta,
        [Values] bool compressed
    ) => OneKernelMakesTheProducts(QuantizedVariant.Fused, "fused", layout, shape, beta, compressed);

    /// <summary>The kernel whose first warpgroup dequantises stages, by itself.</summary>
    [Test]
    public void HopperStagesAreTheProductToo(
        [ValueSource(nameof(FourBits))] QuantizedLayout layout,
        [ValueSource(nameof(HopperShapes))] (int M, int N, int K) shape,
        [Values(0f, 1f)] float beta,
        [Values] bool compressed
    )
    {
        if (Device.ComputeCapability != (9, 0))
            Assert.Ignore("the kernel is for compute capability 9.0");
        OneKernelMakesTheProducts(QuantizedVariant.Hopper, "hopper", layout, shape, beta, compressed);
    }

    private void OneKernelMakesTheProducts(
        QuantizedVariant variant,
        string name,
        QuantizedLayout layout,
        (int M, int N, int K) shape,
        float beta,
        bool compressed
    )
    {
        (int m, int n, int k) = shape;
        using QuantizedMatrix weight = Weight(layout, n, k, DType.BF16, out double[] w, compressed);
        ColumnRange x = InputColumns(m, k, DType.BF16, Placed.Alone, out double[] xs);
        ColumnRange y = InputColumns(m, n, DType.BF16, Placed.Alone, out double[] old);
        FrozenProduct.Force(Device, variant);
        Device.Variants.Clear();
        FrozenProduct.Forward(x, weight, y, beta);
        Require(y, old, beta, m, n, k, (i, j, l) => xs[i * k + l] * w[j * k + l]);
        ColumnRange dy = InputColumns(m, n, DType.BF16, Placed.Alone, out double[] dys);
        ColumnRange dx = InputColumns(m, k, DType.BF16, Placed.Alone, out old);
        FrozenProduct.InputGradient(dy, weight, dx, beta);
        Require(dx, old, beta, m, k, n, (i, j, l) => dys[i * n + l] * w[l * k + j]);
        Assert.That(Device.Variants.All.Select(use => use.Variant), Is.All.EqualTo(name));
    }

    [Test]
    public void HopperRunsWhereItCan()
    {
        FrozenProduct.Force(Device, QuantizedVariant.Hopper);
        bool has = Device.ComputeCapability == (9, 0);
        const string Elsewhere = "panel (hopper does not apply: it needs compute capability 9.0)";
        Assert.That(Ran(WeightFormat.Nf4, 8, 32, DType.BF16), Is.EqualTo(has ? "hopper" : Elsewhere));
        Assert.That(Ran(WeightFormat.Nf4, 8, 32, DType.F32), Does.EndWith("(hopper does not apply: it is BF16 only)"));
        Assert.That(Ran(WeightFormat.Int8, 8, 32, DType.BF16), Does.Contain("W is in codes of 8 bits"));
        Assert.That(Ran(WeightFormat.Nf4, 8, 48, DType.BF16), Does.Contain("no scale per whole 32 columns"));
        Assert.That(Ran(WeightFormat.Nf4, 9, 32, DType.BF16), Does.Contain("in and out must be multiples of 8"));

        string Ran(WeightFormat format, int outputs, int inputs, DType type)
        {
            using QuantizedMatrix weight = Weight(format, outputs, inputs, type, out _);
            Device.Variants.Clear();
            FrozenProduct.Forward(Input((9, inputs), type, out _), weight, Output((9, outputs), type));
            return Device.Variants.All.Single().Choice;
        }
    }

    /// <summary>More rows and columns than a panel has.</summary>
    [Test]
    public void ManyPanelsMakeOneProduct()
    {
        const int N = 2200;
        const int K = 1100;
        using QuantizedMatrix weight = Weight(WeightFormat.Nf4, N, K, DType.F32, out double[] w);
        Tensor x = Input((2, K), DType.F32, out double[] xs);
        Tensor y = Output((2, N));
        FrozenProduct.Forward(x, weight, y);
        Require(y, new double[2 * N], 0, 2, N, K, (i, j, l) => xs[i * K + l] * w[j * K + l]);
        Tensor dy = Input((2, N), DType.F32, out double[] dys);
        Tensor dx = Output((2, K));
        FrozenProduct.InputGradient(dy, weight, dx);
        Require(dx, new double[2 * K], 0, 2, K, N, (i, j, l) => dys[i * N + l] * w[l * K + j]);
    }

    [Test]
    public void APlainWeightIsALibraryProduct([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor x = Input((9, 40), type, out _);
        ColumnRange weight = InputColumns(17, 40, type, Placed.Odd, out _);
        (Tensor y, Tensor expected) = (Output((9, 17), type), Output((9, 17), type));
        FrozenProduct.Forward(x, weight, y);
        using Tensor own = weight.Copy();
        Gemm.Run(x, Gemm.Transposed(own), expected);
        Assert.That(y.ToArray(), Is.EqualTo(expected.ToArray()));
        (Tensor dx, Tensor wanted) = (Output((9, 40), type), Output((9, 40), type));
        FrozenProduct.InputGradient(y, weight, dx);
        Gemm.Run(y, own, wanted);
        Assert.That(dx.ToArray(), Is.EqualTo(wanted.ToArray()));
    }

    /// <summary>Low-rank layers on a quantised weight: y, dx and the gradients beside those on its values.</summary>
    [Test]
    public void ALowRankLayerTakesIt(
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool dropout,
        [Values] LowRankVariant variant,
        [Values(56, 64)] int k,
        [Values(WeightFormat.Nf4, WeightFormat.Int8)] WeightFormat format,
        [Values(5, 16)] int r
    )
    {
        (int m, int n) = (137, 72);
        using QuantizedMatrix weight = Weight(format, n, k, type, out double[] w);
        Tensor plain = Input([.. w.Select(value => (float)value)], (n, k), type, out _);
        using LowRankStack stack = new(
            new LowRankFactors(Input((n, r), type, out _), null, Input((r, k), type, out _), 0.5f)
        );
        using StepState state = new(Device);
        state.SeedDropout(3, 5);
        DropoutMask? mask = dropout ? new DropoutMask(state, 1, 0.25) : null;
        Tensor x = Input((m, k), type, out _);
        Tensor dy = Input((m, n), type, out _);
        Tensor bias = Input(n, type, out _);
        bool isComposed = variant is LowRankVariant.ComposedA or LowRankVariant.ComposedB;
        bool isFused = type == DType.BF16 && k % 32 == 0;
        bool isHopper = format == WeightFormat.Nf4 && r % 8 == 0 && Device.ComputeCapability == (9, 0);
        bool fits =
            isComposed
            || (isFused && (variant == LowRankVariant.Portable || (variant == LowRankVariant.Hopper && isHopper)));
        LowRankLinear.Force(Device, fits ? variant : LowRankVariant.ComposedB); // they round at other places
        double[][] expected = Results(plain);
        LowRankLinear.Force(Device, variant);
        Device.Variants.Clear();
        double[][] actual = Results(weight);
        Assert.That(Device.Variants.All.Any(use => use.Variant == LowRankLinear.NameOf(variant)), Is.EqualTo(fits));
        for (int i = 0; i < expected.Length; i++)
        {
            // both round alike; library products of other widths add in another order
            double[] magnitude = Array.ConvertAll(expected[i], value => Math.Abs(value) + Math.Sqrt(n));
            Comparator.Verify(actual[i], expected[i], type, magnitude, n, $"result {i}");
        }

        double[][] Results(FrozenWeight frozen)
        {
            (Tensor y, Tensor z, Tensor dx) = (Output((m, n), type), Output((m, r), type), Output((m, k), type));
            (Tensor left, Tensor right) = (Output((n, r)), Output((r, k)));
            LowRankLayer layer = new(frozen, bias);
            stack.Forward(x, [layer], [y], z, mask);
            LowRankGradients gradients = new(Left: left, Right: right);
            stack.Backward(x, [layer], z, [dy], dx, [gradients], dropout: mask);
            return [.. new[] { y, dx, left, right }.Select(t => Array.ConvertAll(t.ToArray(), value => (double)value))];
        }
    }

    [Test]
    public void EmptyWork()
    {
        using QuantizedMatrix weight = Weight(WeightFormat.Nf4, 4, 8, DType.F32, out _);
        FrozenProduct.Forward(Output((0, 8)), weight, Output((0, 4)));
        FrozenProduct.InputGradient(Output((0, 4)), weight, Output((0, 8)));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        QuantizedMatrix weight = Weight(WeightFormat.Nf4, 4, 8, DType.F32, out _);
        Refuses(() => FrozenProduct.Forward(Output((2, 7)), weight, Output((2, 4))), "expected 8 columns");
        Refuses(() => FrozenProduct.Forward(Output((2, 8)), weight, Output((2, 5))), "expected 4 columns");
        Refuses(
            () => FrozenProduct.Forward(Output((2, 8)), weight, Output((2, 4), DType.BF16)),
            "y is BF16, expected F32 as x is"
        );
        Refuses(() => FrozenProduct.InputGradient(Output((2, 3)), weight, Output((2, 8))), "expected 4 columns");
        Refuses(
            () => FrozenProduct.Forward(Output((2, 8)), weight, Output((2, 4)), 0.5f),
            "beta is 0.5, expected 0 or 1"
        );
        FrozenWeight frozen = weight;
        Refuses(() => _ = frozen.Dense, "the weight is nf4, expected F32 or BF16");
        weight.Dispose();
        Assert.That(
            () => FrozenProduct.Forward(Output((2, 8)), weight, Output((2, 4))),
            Throws.InstanceOf<ObjectDisposedException>()
        );

        static void Refuses(Action code, string text) =>
            Assert.That(code, Throws.ArgumentException.With.Message.Contains(text));
    }

    private QuantizedMatrix Weight(WeightFormat format, int rows, int columns, DType type, out double[] values) =>
        Weight(QuantizedLayout.For(format), rows, columns, type, out values, isCompressed: false);

    private QuantizedMatrix Weight(
        QuantizedLayout layout,
        int rows,
        int columns,
        DType type,
        out double[] values,
        bool isCompressed
    )
    {
        Tensor plain = Input((rows, columns), DType.F32, out _);
        var matrix = new QuantizedMatrix(Device, rows, columns, layout);
        matrix.Fill(0, plain);
        if (isCompressed)
            matrix.CompressScales();
        Tensor read = Output((rows, columns));
        matrix.Dequantize(0, read);
        values = Array.ConvertAll(
            read.ToArray(),
            value => (double)(type == DType.BF16 ? BFloat16.Round(value) : value)
        );
        return matrix;
    }

    private static void Require(
        ColumnRange actual,
        double[] old,
        float beta,
        int rows,
        int columns,
        int depth,
        Func<int, int, int, double> term
    )
    {
        double[] expected = new double[rows * columns];
        double[] magnitude = new double[rows * columns];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                int at = i * columns + j;
                (double sum, double size) = (beta * old[at], Math.Abs(beta * old[at]));
                for (int l = 0; l < depth; l++)
                {
                    double value = term(i, j, l);
                    sum += value;
                    size += Math.Abs(value);
                }

                (expected[at], magnitude[at]) = (sum, size);
            }
        }

        Verify(actual, expected, magnitude, depth);
    }
}
