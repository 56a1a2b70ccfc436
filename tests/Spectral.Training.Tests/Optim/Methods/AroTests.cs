using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim.Methods;

/// <summary>The reference is the formula in double precision, with Gram and Schmidt's orthonormal factor.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AroTests(DeviceKind kind) : ReferenceTest(kind)
{
    private const double Momentum = 0.95;

    [TestCase("sign", 0.0)]
    [TestCase("sign", 0.5)]
    [TestCase("sinkhorn", 0.0)]
    public void FollowsItsFormula(string rule, double clip)
    {
        AdamWOptions options = new() { WeightDecay = Decay, GradientClip = clip };
        Dictionary<string, double> settings = new() { ["base"] = rule == "sign" ? 1 : 0 };
        Follow(
            "aro",
            options,
            settings,
            shape => shape.Rank == 2 && shape[0] > 1 ? Rotated(shape, rule) : References.AdamW(shape, Decay),
            within: 2e-5, // orthonormal to 1e-5, and a step moves entries by at most 0.2 √s times the rate
            // Where rows of signs differ in one column only, that column of RᵀM is zero but for rounding, which decides
            // its sign. It happens often in small matrices.
            shapes: rule == "sign" ? [("wide", (3, 40)), ("vector", 7), ("tall", (40, 3)), ("row", (1, 6))] : null
        );
    }

    [Test]
    public void ItsRotationIsOrthogonal()
    {
        using ParameterSet parameters = new(Device, [("tall", (40, 6))]);
        using Optimizer optimizer = OptimizerMethods.Find("aro").Create(parameters, new AdamWOptions());
        Random random = new(1);
        for (int step = 0; step < 4; step++)
        {
            float[] gradient = [.. Enumerable.Range(0, 240).Select(_ => random.NextSingle() - 0.5f)];
            parameters.Parameters[0].Gradient!.CopyFrom(gradient);
            optimizer.Step(0.01);
        }

        using Tensor rotation = optimizer.States.First(state => state.Name == "rotation.tall").Open();
        double[] r = [.. rotation.ToArray().Select(value => (double)value)];
        double[] gram = References.Product(r, References.Transpose(r, 6, 6), 6, 6, 6);
        Assert.That(gram, Is.EqualTo(Identity(6)).Within(2e-6));
    }

    /// <summary>A factor of zeros whose partner has a gradient, as adapters begin, gets no step and no NaN.</summary>
    [TestCase("sign")]
    [TestCase("sinkhorn")]
    public void AGradientOfZerosMovesNothing(string rule)
    {
        using ParameterSet parameters = new(Device, [("a", (4, 9))]);
        using Optimizer optimizer = OptimizerMethods
            .Find("aro")
            .Create(
                parameters,
                new AdamWOptions(),
                new Dictionary<string, double> { ["base"] = rule == "sign" ? 1 : 0 }
            );
        optimizer.Step(0.1);
        Assert.That(parameters.Parameters[0].Master.ToArray(), Is.All.Zero);
        parameters.Parameters[0].Gradient!.CopyFrom([.. Enumerable.Range(0, 36).Select(i => (float)Math.Sin(i * i))]);
        optimizer.Step(0.1);
        Assert.That(parameters.Parameters[0].Master.ToArray(), Has.All.Not.Zero.And.All.Not.NaN);
    }

    private static Formula Rotated(Shape shape, string rule)
    {
        bool isTall = shape[0] > shape[1];
        (int side, int length) = (Math.Min(shape[0], shape[1]), Math.Max(shape[0], shape[1]));
        double[] sum = new double[shape.Count];
        double[] rotation = Identity(side); // Rᵀ
        return (values, gradient, _, rate) =>
        {
            for (int i = 0; i < sum.Length; i++)
                sum[i] = Momentum * sum[i] + (1 - Momentum) * gradient[i];
            double[] m = isTall ? References.Transpose(sum, length, side) : sum;
            double[] before = Rule(References.Product(rotation, m, side, side, length), side, length, rule);
            double[] product = References.Product(before, References.Transpose(m, side, length), side, length, side);
            rotation = GramSchmidt(product, side);
            double[] after = Rule(References.Product(rotation, m, side, side, length), side, length, rule);
            double[] step = References.Product(References.Transpose(rotation, side, side), after, side, side, length);
            if (isTall)
                step = References.Transpose(step, side, length);
            for (int i = 0; i < values.Length; i++)
                values[i] = values[i] * (1 - rate * Decay) - rate * 0.2 * step[i];
        };
    }

    private static double[] Rule(double[] x, int rows, int columns, string rule)
    {
        if (rule == "sign")
            return [.. x.Select(value => (double)Math.Sign(value))];
        for (int round = 0; round < 5; round++)
        {
            x = RowsToOne(x, columns);
            x = References.Transpose(RowsToOne(References.Transpose(x, rows, columns), rows), columns, rows);
        }

        return x;
    }

    private static double[] RowsToOne(double[] x, int columns) =>
        [
            .. x.Chunk(columns)
                .SelectMany(row =>
                {
                    double rms = Math.Sqrt(row.Average(value => value * value));
                    return row.Select(value => value / rms);
                }),
        ];

    private static double[] GramSchmidt(double[] rows, int side)
    {
        double[][] basis = [.. rows.Chunk(side)];
        for (int i = 0; i < side; i++)
        {
            for (int j = 0; j < i; j++)
            {
                double along = basis[i].Zip(basis[j], (a, b) => a * b).Sum();
                basis[i] = [.. basis[i].Zip(basis[j], (a, b) => a - along * b)];
            }

            double norm = Math.Sqrt(basis[i].Sum(value => value * value));
            basis[i] = [.. basis[i].Select(value => value / norm)];
        }

        return [.. basis.SelectMany(row => row)];
    }

    private static double[] Identity(int side) =>
        [.. Enumerable.Range(0, side * side).Select(i => i / side == i % side ? 1.0 : 0)];
}
