using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>
/// Methods against their formulas, written plainly in double from the tensors that a file holds: the weight that
/// forward computes with, and the gradient of every trained factor by central differences of the formula.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed partial class WeightFormulaTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Tolerance = 2e-5; // of the largest element: F32 rounding through a few products

    /// <summary>One method with settings on one layer, and what its weight is.</summary>
    public sealed record Case(
        string Method,
        int Rows,
        int Columns,
        int Rank,
        Dictionary<string, double> Settings,
        Func<Layer, double[]> Formula
    )
    {
        /// <summary>Whether a setting makes it begin with a changed weight, unlike its method.</summary>
        public bool BeginsElsewhere { get; init; }

        /// <summary>
        /// Whether the layer has a bias. The formula then includes the new one in every column, as inputs of unit
        /// vectors show it.
        /// </summary>
        public bool HasBias { get; init; }

        /// <summary>Alpha of the adapter.</summary>
        public double Alpha { get; init; } = 5;

        public override string ToString() =>
            $"{Method} [{Rows}, {Columns}] "
            + $"{string.Join(' ', Settings.Select(setting => $"{setting.Key}={setting.Value}"))}";
    }

    /// <summary>What a formula reads.</summary>
    public sealed record Layer(
        double[] BaseWeight,
        int Rows,
        int Columns,
        int Rank,
        double Scale,
        IReadOnlyDictionary<string, double[]> Factors
    )
    {
        /// <summary>The bias of the base; empty without one.</summary>
        public double[] Bias { get; init; } = [];

        internal Dense W => Dense.Of(Rows, Columns, BaseWeight);

        internal Dense Matrix(string factor, int rows, int columns, int from = 0) =>
            Dense.Of(rows, columns, Factors[factor].AsSpan(from));
    }

    public static IEnumerable<Case> Cases =>
        [
            .. Products(),
            .. Scalings(),
            .. Rotations(),
            .. Blocks(),
            .. Generated(),
            .. Waves(),
            .. Supports(),
            .. Shared(),
        ];

    [TestCaseSource(nameof(Cases))]
    public void TheWeightAndItsGradientsAreTheFormulas(Case test)
    {
        using SingleLayer layer = Attach(test);
        layer.Disturb(3, 0.6);
        var random = new Random(4);
        var direction = Dense.Of(test.Rows, test.Columns, (_, _) => (float)(random.NextDouble() - 0.5));
        Dense actual = layer.Run(direction);
        Dictionary<string, double[]> factors = layer.Values();
        var formula = new Layer(
            layer.Weight.Values,
            test.Rows,
            test.Columns,
            test.Rank,
            layer.Module.Options.Scale,
            factors
        )
        {
            Bias = layer.Bias,
        };
        VerifyGradient(
            Array.ConvertAll(actual.Values, value => (float)value),
            test.Formula(formula),
            Tolerance,
            "the weight"
        );
        foreach (
            (string name, Training.Optim.Parameter parameter) in layer.Module.Factors.Where(factor =>
                factor.Value.Trains
            )
        )
        {
            double[] expected = CentralDifferences.Of(
                factors[name],
                1e-5,
                () => test.Formula(formula).Zip(direction.Values, (w, g) => w * g).Sum()
            );
            VerifyGradient(parameter.Gradient!.ToArray(), expected, 2 * Tolerance, name);
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void AFreshOneChangesNothingAndHasAGradient(Case test)
    {
        using SingleLayer layer = Attach(test);
        Dense weight = layer.Run(Dense.Of(test.Rows, test.Columns, (i, j) => (i * 7 + j * 3) % 5 - 2));
        if (AdapterMethods.Find(test.Method).StartsAtBase && !test.BeginsElsewhere)
        {
            double[] bias = layer.Bias;
            var expected = Dense.Of(
                test.Rows,
                test.Columns,
                (i, j) => layer.Weight[i, j] + (test.HasBias ? bias[i] : 0)
            );
            Assert.That(weight.Values, Is.EqualTo(expected.Values).Within(1e-6));
        }

        Assert.That(
            layer.Trained.SelectMany(parameter => parameter.Gradient!.ToArray()).Any(value => value != 0),
            "something trains from the start"
        );
    }

    private SingleLayer Attach(Case test) =>
        new(
            Device,
            AdapterMethods.Find(test.Method),
            new AdapterOptions
            {
                Rank = test.Rank,
                Alpha = test.Alpha,
                TopK = 2,
                Seed = 9,
                Settings = test.Settings,
            },
            test.Rows,
            test.Columns,
            test.HasBias
        );

    private static double[] Change(Layer layer, Dense change) => (layer.W + change).Values;

    private static Dense Skew(ReadOnlySpan<double> upper, int n)
    {
        var s = new Dense(n, n);
        for (int i = 0, at = 0; i < n; i++)
        {
            for (int j = i + 1; j < n; j++)
                (s[i, j], s[j, i]) = (upper[at], -upper[at++]);
        }

        return s;
    }

    private static Dense Cayley(Dense s) => (Dense.Identity(s.Rows) - s) * (Dense.Identity(s.Rows) + s).Inverse();

    private static Dense Series(Dense s, params double[] coefficients)
    {
        (Dense sum, Dense power) = (new Dense(s.Rows, s.Rows), Dense.Identity(s.Rows));
        foreach (double coefficient in coefficients)
        {
            sum += coefficient * power;
            power *= s;
        }
        return sum;
    }

    private static Dense BlockDiagonal(IReadOnlyList<Dense> blocks)
    {
        (int m, int n) = (blocks[0].Rows, blocks[0].Columns);
        return Dense.Of(m * blocks.Count, n * blocks.Count, (i, j) => i / m == j / n ? blocks[i / m][i % m, j % n] : 0);
    }
}
