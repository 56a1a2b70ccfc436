using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Optim.Methods;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class GaloreTests(DeviceKind kind) : SubspaceReferenceTest(kind)
{
    private const int Period = 6;

    private static readonly Dictionary<string, double> Settings = new()
    {
        ["rank"] = Rank,
        ["period"] = Period,
        ["scale"] = 0.5,
    };

    /// <summary>
    /// The projector is checked by what defines it, with eigenvalues by Jacobi rotations in double precision, and its
    /// bits by being kept for a period.
    /// </summary>
    [Test]
    public void FollowsItsFormula()
    {
        Dictionary<string, float[]> kept = [];
        Follow(
            "galore",
            Settings,
            0.5,
            (optimizer, name, gradient, step, _, _) =>
            {
                using Tensor projector = StateOf(optimizer, $"projector.{name}");
                float[] rows = projector.ToArray();
                var basis = Dense.Of(Rank, gradient.Rows, Array.ConvertAll(rows, value => (double)value));
                if ((step - 1) % Period != 0)
                {
                    Assert.That(rows, Is.EqualTo(kept[name]), $"{name} in step {step}");
                    return basis;
                }

                kept[name] = rows;
                Dense square = basis * basis.Transposed - Dense.Identity(Rank);
                Assert.That(square.Values, Is.All.EqualTo(0).Within(1e-5), $"{name} is orthonormal in step {step}");
                double energy = (basis * gradient).Values.Sum(value => value * value);
                double best = Eigenvalues(gradient * gradient.Transposed).OrderDescending().Take(Rank).Sum();
                Assert.That(energy, Is.EqualTo(best).Within(1e-5 * best), $"{name} keeps the most in step {step}");
                return basis;
            }
        );
    }

    /// <summary>As that of LoRA's A at the first step, where B is zero.</summary>
    [Test]
    public void AGradientOfZerosIsWaitedFor()
    {
        ParameterSet parameters = Keep(new ParameterSet(Device, [("a", (5, 9))]));
        using Optimizer optimizer = OptimizerMethods
            .Find("galore")
            .Create(parameters, new AdamWOptions { WeightDecay = 0 }, Settings);
        Parameter a = parameters.Parameters[0];
        double[] start = Fill(a.Master, new Random(1));
        optimizer.Step(0.1);
        Assert.That(a.Master.ToArray(), Is.EqualTo(start), "no direction yet");
        using Tensor projector = StateOf(optimizer, "projector.a");
        Assert.That(projector.ToArray(), Is.All.Zero, "zeros have no directions");
        var gradient = Dense.Of(5, 9, Fill(a.Gradient!, new Random(2)));
        optimizer.Step(0.1);
        var basis = Dense.Of(Rank, 5, Array.ConvertAll(projector.ToArray(), value => (double)value));
        double energy = (basis * gradient).Values.Sum(value => value * value);
        double best = Eigenvalues(gradient * gradient.Transposed).OrderDescending().Take(Rank).Sum();
        Assert.That(energy, Is.EqualTo(best).Within(1e-5 * best), "directions of the first gradient that is not zero");
        Assert.That(a.Master.ToArray(), Is.Not.EqualTo(start));
    }

    /// <summary>A matrix of rank 1 has directions to spare, which must not move anything by more than a step.</summary>
    [Test]
    public void AGradientOfLowerRankTakesNoWildStep()
    {
        ParameterSet parameters = Keep(new ParameterSet(Device, [("a", (5, 9))]));
        using Optimizer optimizer = OptimizerMethods
            .Find("galore")
            .Create(parameters, new AdamWOptions { WeightDecay = 0, GradientClip = 0 }, Settings);
        Parameter a = parameters.Parameters[0];
        for (int step = 0; step < 3; step++)
        {
            a.Gradient!.CopyFrom([.. Enumerable.Range(0, 45).Select(i => (1f + i / 9) * (1f + i % 9))]);
            optimizer.Step(0.1);
        }

        // each coordinate moves by at most 0.5 · 0.1 a step, and three of them make an entry
        Assert.That(a.Master.ToArray(), Is.All.InRange(-0.45, 0.45));
    }

    private static double[] Eigenvalues(Dense symmetric)
    {
        int n = symmetric.Rows;
        double[] a = [.. symmetric.Values];
        for (int sweep = 0; sweep < 30; sweep++)
        {
            for (int p = 0; p < n; p++)
            {
                for (int q = p + 1; q < n; q++)
                {
                    double angle = 0.5 * Math.Atan2(2 * a[p * n + q], a[q * n + q] - a[p * n + p]);
                    (double sin, double cos) = Math.SinCos(angle);
                    for (int k = 0; k < n; k++)
                    {
                        (double x, double y) = (a[k * n + p], a[k * n + q]);
                        (a[k * n + p], a[k * n + q]) = (cos * x - sin * y, sin * x + cos * y);
                    }

                    for (int k = 0; k < n; k++)
                    {
                        (double x, double y) = (a[p * n + k], a[q * n + k]);
                        (a[p * n + k], a[q * n + k]) = (cos * x - sin * y, sin * x + cos * y);
                    }
                }
            }
        }

        return [.. Enumerable.Range(0, n).Select(i => a[i * n + i])];
    }
}
