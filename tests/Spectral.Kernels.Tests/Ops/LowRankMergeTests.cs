using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LowRankMergeTests(DeviceKind kind) : DeviceTest(kind)
{
    private static IEnumerable<object[]> Cases() =>
        from shape in new[] { (1, 1, 1), (7, 33, 7), (33, 8, 16), (130, 257, 3), (5, 1032, 64), (64, 128, 33) }
        from types in new[] { (DType.F32, DType.F32), (DType.BF16, DType.BF16), (DType.BF16, DType.F32) }
        select new object[] { shape, types.Item1, types.Item2 };

    [TestCaseSource(nameof(Cases))]
    public void AddsTheUpdateWithOneRounding((int N, int K, int R) shape, DType type, DType factorType)
    {
        (int n, int k, int r) = shape;
        Tensor weight = Input((n, k), type, out double[] weights);
        Tensor left = Input((n, r), factorType, out double[] lefts);
        Tensor right = Input((r, k), factorType, out double[] rights);
        Tensor middle = Input(r, DType.F32, out double[] c);
        foreach ((Tensor? vector, double[]? values) in new (Tensor?, double[]?)[] { (middle, c), (null, null) })
        {
            Tensor merged = Output((n, k), type);
            LowRank.Merge(weight, new LowRankFactors(left, vector, right, -0.5f), merged);
            Reference expected =
                Reference.Of(weights, n, k)
                + (Reference.Of(lefts, n, r).Scaled(values, -0.5) * Reference.Of(rights, r, k));
            Verify(merged, expected.Value, expected.Magnitude, r + 1, "merged");
        }
        float[] apart = Merged(weight, new LowRankFactors(left, middle, right));
        LowRank.Merge(weight, new LowRankFactors(left, middle, right), weight);
        Assert.That(weight.ToArray(), Is.EqualTo(apart), "merging in place gives the same bits");
    }

    [Test]
    public void AnUpdateOfZeroLeavesTheWeight([ValueSource(nameof(FloatTypes))] DType type)
    {
        Tensor weight = Input((33, 65), type, out _);
        Tensor left = Input((33, 4), type, out _);
        Tensor right = Input((4, 65), type, out _);
        Tensor zero = Input(new float[4], 4, DType.F32, out _);
        Assert.That(Merged(weight, new LowRankFactors(left, zero, right)), Is.EqualTo(weight.ToArray()));
    }

    [Test]
    public void WrongArgumentsAreNamed()
    {
        Tensor weight = Input((5, 6), DType.F32, out _);
        Tensor left = Input((5, 2), DType.F32, out _);
        Tensor right = Input((2, 6), DType.F32, out _);
        Tensor half = Input((5, 2), DType.BF16, out _);
        void Names(string argument, Action call) =>
            Assert.That(
                call,
                Throws
                    .InstanceOf<ArgumentException>()
                    .With.Property(nameof(ArgumentException.ParamName))
                    .EqualTo(argument)
                    .And.Message.Contains("expected")
            );
        Names("Right", () => LowRank.Merge(weight, new LowRankFactors(left, null, left), weight));
        Names("Left", () => LowRank.Merge(weight, new LowRankFactors(right, null, right), weight));
        Names("Right", () => LowRank.Merge(weight, new LowRankFactors(half, null, right), weight));
        Names("Middle", () => LowRank.Merge(weight, new LowRankFactors(left, Output(3), right), weight));
        Names("destination", () => LowRank.Merge(weight, new LowRankFactors(left, null, right), left));
    }

    private float[] Merged(Tensor weight, LowRankFactors factors)
    {
        Tensor merged = Output(weight.Shape, weight.DType);
        LowRank.Merge(weight, factors, merged);
        return merged.ToArray();
    }
}
