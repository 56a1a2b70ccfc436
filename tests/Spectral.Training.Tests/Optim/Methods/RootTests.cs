using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim.Methods;

/// <summary>
/// The reference is the formula in double precision, with the quantile as <c>numpy.quantile</c> interpolates it.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RootTests(DeviceKind kind) : ReferenceTest(kind)
{
    private const double Momentum = 0.95;

    [TestCase(0.9, false, 0.0)]
    [TestCase(0.9, false, 0.5)]
    [TestCase(0.55, false, 0.0)]
    [TestCase(0.9, true, 0.0)]
    public void FollowsItsFormula(double quantile, bool isFitted, double clip)
    {
        AdamWOptions options = new() { WeightDecay = Decay, GradientClip = clip };
        Dictionary<string, double> settings = new() { ["quantile"] = quantile, ["coefficients"] = isFitted ? 1 : 0 };
        Follow(
            "root",
            options,
            settings,
            shape =>
                shape.Rank == 2 && shape[0] > 1
                    ? Robust(shape, quantile, isFitted ? NewtonSchulzFit.For(shape) : NewtonSchulz.Muon)
                    : References.AdamW(shape, Decay),
            within: 2e-5 // as for Muon
        );
    }

    /// <summary>At quantile 1 there are no outliers, and with the coefficients of other shapes it is Muon.</summary>
    [Test]
    public void WithoutOutliersItIsMuonBitForBit()
    {
        Assert.That(Train("root", new() { ["quantile"] = 1 }), Is.EqualTo(Train("muon", [])));
        Assert.That(Train("root", []), Is.Not.EqualTo(Train("muon", [])));
    }

    [Test]
    public void ShapesOfThePaperHaveItsCoefficients()
    {
        Assert.That(NewtonSchulzFit.Published((2048, 8192)), Is.EqualTo(new NewtonSchulz(2.9794f, -3.6674f, 1.6207f)));
        Assert.That(NewtonSchulzFit.Published((8192, 2048)), Is.EqualTo(new NewtonSchulz(2.9794f, -3.6674f, 1.6207f)));
        Assert.That(NewtonSchulzFit.Published((2048, 8)), Is.EqualTo(NewtonSchulz.Muon));
    }

    /// <summary>The error has its least value at the fit, and is well below that of Muon's coefficients.</summary>
    [TestCase(8, 8)]
    [TestCase(8, 4096)]
    [TestCase(64, 512)]
    [TestCase(2048, 8192)]
    public void TheFitBringsSingularValuesNearerToOne(int rows, int columns)
    {
        NewtonSchulz fit = NewtonSchulzFit.For((rows, columns));
        Assert.That(NewtonSchulzFit.For((columns, rows)), Is.EqualTo(fit), "of the transpose");
        double[] values = NewtonSchulzFit.Spectrum((rows, columns));
        Assert.That(values.Average(value => value * value) * rows, Is.EqualTo(1).Within(1e-9), "the norm");
        double[] muon = [3.4445, -4.7750, 2.0315];
        double[] best = [fit.Linear, fit.Cubic, fit.Quintic];
        double least = NewtonSchulzFit.Error(best, values);
        TestContext.Out.WriteLine($"{rows} x {columns}: {NewtonSchulzFit.Error(muon, values)} to {least}: {fit}");
        Assert.That(least, Is.LessThan(0.5 * NewtonSchulzFit.Error(muon, values)));
    }

    private float[] Train(string name, Dictionary<string, double> settings)
    {
        using ParameterSet parameters = new(Device, Shapes);
        using Optimizer optimizer = OptimizerMethods.Find(name).Create(parameters, new AdamWOptions(), settings);
        Random random = new(3);
        for (int step = 0; step < 3; step++)
        {
            foreach (Tensor gradient in parameters.Gradients)
            {
                gradient.CopyFrom([
                    .. Enumerable.Range(0, (int)gradient.Count).Select(_ => random.NextSingle() - 0.5f),
                ]);
            }
            optimizer.Step(0.01);
        }

        return [.. parameters.Parameters.SelectMany(parameter => parameter.Master.ToArray())];
    }

    private static Formula Robust(Shape shape, double quantile, NewtonSchulz coefficients)
    {
        (int rows, int columns) = (shape[0], shape[1]);
        double factor = 0.2 * Math.Sqrt(Math.Max(rows, columns));
        double[] sum = new double[shape.Count];
        return (values, gradient, _, rate) =>
        {
            double[] direction = new double[values.Length];
            for (int i = 0; i < values.Length; i++)
            {
                sum[i] = Momentum * sum[i] + gradient[i];
                direction[i] = gradient[i] + Momentum * sum[i];
            }

            double most = Quantile(direction, quantile);
            double[] clipped = [.. direction.Select(value => Math.Clamp(value, -most, most))];
            (double, double, double) abc = (coefficients.Linear, coefficients.Cubic, coefficients.Quintic);
            double[] step =
                rows > columns
                    ? References.Transpose(
                        References.NewtonSchulz(References.Transpose(clipped, rows, columns), columns, rows, abc),
                        columns,
                        rows
                    )
                    : References.NewtonSchulz(clipped, rows, columns, abc);
            for (int i = 0; i < values.Length; i++)
                values[i] = values[i] * (1 - rate * Decay) - rate * factor * step[i];
        };
    }

    private static double Quantile(double[] values, double quantile)
    {
        double[] sorted = [.. values.Select(Math.Abs).Order()];
        double place = quantile * (sorted.Length - 1);
        int below = (int)place;
        double above = sorted[Math.Min(below + 1, sorted.Length - 1)];
        return sorted[below] + (place - below) * (above - sorted[below]);
    }
}
