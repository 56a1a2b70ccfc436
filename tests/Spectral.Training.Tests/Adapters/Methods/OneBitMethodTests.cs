using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>
/// The adapter method one-bit in double: factors rounded to the levels of a normal distribution, and gradients as if
/// the rounding were the identity.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class OneBitMethodTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Rows = 7;
    private const int Columns = 5;
    private const int Rank = 3;
    private const double Scale = 5.0 / Rank;

    /// <summary>The upper half of the levels, and of the bounds between them, of a number of bits.</summary>
    private static readonly Dictionary<int, (double[] Levels, double[] Bounds)> Known = new()
    {
        [1] = ([0.6744897501960817], []),
        [2] = ([0.37775416114944965, 1.2657203250220042], [0.8217372430857269]),
    };

    [Test]
    public void TheWeightHasRoundedFactors([Values(1, 2)] int bits)
    {
        using SingleLayer layer = Attach(bits);
        layer.Disturb(3, 0.6);
        Dense actual = layer.Run();
        Dictionary<string, double[]> factors = layer.Values();
        double[] left = Round(factors["lora_B.weight"], bits);
        double[] right = Round(factors["lora_A.weight"], bits);
        Assert.That(left.Distinct().Count(), Is.EqualTo(1 << bits));
        Dense expected = layer.Weight + (Scale * (Dense.Of(Rows, Rank, left) * Dense.Of(Rank, Columns, right)));
        Assert.That(actual.Values, Is.EqualTo(expected.Values).Within(1e-5));
    }

    [Test]
    public void TheGradientTakesTheRoundingForTheIdentity([Values(1, 2)] int bits)
    {
        using SingleLayer layer = Attach(bits);
        layer.Disturb(3, 0.6);
        Random random = new(4);
        var direction = Dense.Of(Rows, Columns, (_, _) => (float)(random.NextDouble() - 0.5));
        layer.Run(direction);
        Dictionary<string, double[]> factors = layer.Values();
        var left = Dense.Of(Rows, Rank, Round(factors["lora_B.weight"], bits));
        var right = Dense.Of(Rank, Columns, Round(factors["lora_A.weight"], bits));
        Verify("lora_B.weight", Scale * (direction * right.Transposed));
        Verify("lora_A.weight", Scale * (left.Transposed * direction));

        void Verify(string name, Dense gradient)
        {
            double[] straight = gradient.Values;
            double[] values = factors[name];
            double[] offset = [.. Levels(values, bits).Zip(Normal(values), (level, normal) => level - normal)];
            double[] expected = CentralDifferences.Of(values, 1e-5, Surrogate);
            Parameter parameter = layer.Module.Factors[name];
            VerifyGradient(parameter.Gradient!.ToArray(), expected, 5e-5, name);
            double cosine =
                straight.Zip(expected, (a, b) => a * b).Sum()
                / Math.Sqrt(straight.Sum(a => a * a) * expected.Sum(b => b * b));
            Assert.That(cosine, Is.GreaterThan(0.8), "near that of a LoRA with the rounded factors");

            // The rounding's step is frozen; mean, deviation and the normalised entries move.
            double Surrogate()
            {
                (double mean, double deviation) = Moments(values);
                double[] normal = Normal(values);
                double sum = 0;
                for (int i = 0; i < values.Length; i++)
                    sum += straight[i] * (mean + (deviation * (normal[i] + offset[i])));
                return sum;
            }
        }
    }

    [Test]
    public void WithoutBitsItIsALora()
    {
        using SingleLayer layer = Attach(0);
        layer.Disturb(3, 0.6);
        Dictionary<string, double[]> factors = layer.Values();
        Dense change =
            Dense.Of(Rows, Rank, factors["lora_B.weight"]) * Dense.Of(Rank, Columns, factors["lora_A.weight"]);
        Assert.That(layer.Run().Values, Is.EqualTo((layer.Weight + (Scale * change)).Values).Within(1e-5));
    }

    [Test]
    public void AFactorOfZerosStaysOne()
    {
        using SingleLayer layer = Attach(1);
        layer.Module.Factors["lora_B.weight"].Master.CopyFrom(new float[Rows * Rank]);
        layer.Module.Core.Refresh(all: false);
        Assert.That(layer.Run().Values, Is.EqualTo(layer.Weight.Values).Within(1e-6));
    }

    private SingleLayer Attach(int bits) =>
        new(
            Device,
            AdapterMethods.Find("one-bit"),
            new AdapterOptions
            {
                Rank = Rank,
                Alpha = 5,
                Seed = 9,
                Settings = new Dictionary<string, double> { ["bits"] = bits },
            },
            Rows,
            Columns
        );

    private static (double Mean, double Deviation) Moments(double[] values)
    {
        double mean = values.Average();
        return (mean, Math.Sqrt(values.Sum(x => (x - mean) * (x - mean)) / (values.Length - 1)));
    }

    private static double[] Normal(double[] values)
    {
        (double mean, double deviation) = Moments(values);
        return [.. values.Select(x => (x - mean) / (deviation + 1e-5))];
    }

    private static double[] Levels(double[] values, int bits) =>
        [
            .. Normal(values)
                .Select(x => Math.Sign(x) * Known[bits].Levels[Known[bits].Bounds.Count(bound => Math.Abs(x) > bound)]),
        ];

    private static double[] Round(double[] values, int bits)
    {
        (double mean, double deviation) = Moments(values);
        return [.. Levels(values, bits).Select(level => mean + (deviation * level))];
    }
}
