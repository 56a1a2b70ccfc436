using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>
/// Each operation against its plain formula in double: values, and gradients of Σ g∘y with fixed random g by central
/// differences of that formula, which are exact to many more digits than those of an F32 forward pass.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ExpressionTests(DeviceKind kind) : TrainingTest(kind)
{
    internal const double Tolerance = 2e-5; // of the largest element: F32 rounding through a few operations

    public static IEnumerable<ExpressionCase> Cases =>
        [.. ElementCases.All(), .. MatrixCases.All(), .. ArrangementCases.All(), .. SpecialCases.All()];

    [TestCaseSource(nameof(Cases))]
    public void ValuesAreThoseOfTheFormula(ExpressionCase test)
    {
        using var run = new ExpressionRun(Device, test);
        float[] actual = run.Output.Value.ToArray();
        VerifyGradient(actual, test.Formula(run.Values), Tolerance, test.Name);
        Assert.That(actual, Has.Length.EqualTo(run.Output.Shape.Count));
    }

    [TestCaseSource(nameof(Cases))]
    public void GradientsAreThoseOfTheFormula(ExpressionCase test)
    {
        using var run = new ExpressionRun(Device, test);
        run.Step();
        float[][] gradients = run.Gradients();
        for (int i = 0; i < test.Inputs.Length; i++)
        {
            double[] expected = CentralDifferences.Of(
                run.Values[i],
                1e-5,
                () => test.Formula(run.Values).Zip(run.Direction, (y, g) => y * g).Sum()
            );
            VerifyGradient(gradients[i], expected, Tolerance, $"{test.Name}, input {i}");
        }
    }

    /// <summary>
    /// Contributions to a factor add up over passes; those to a value in between start from nothing in each.
    /// </summary>
    [TestCaseSource(nameof(Cases))]
    public void GradientsAddUp(ExpressionCase test)
    {
        using ExpressionRun run = new(Device, test);
        using ExpressionRun between = new(
            Device,
            test with
            {
                Build = x => test.Build([.. x.Select(input => input.Scale(1))]),
            }
        );
        run.Step();
        between.Step();
        float[][] once = run.Gradients();
        run.Step(clear: false);
        between.Step(clear: false);
        foreach (
            (string name, float[][]? twice) in new[] { ("factor", run.Gradients()), ("value", between.Gradients()) }
        )
        {
            for (int i = 0; i < once.Length; i++)
                VerifyGradient(twice[i], Array.ConvertAll(once[i], value => 2.0 * value), Tolerance, $"{name} {i}");
        }
    }

    /// <summary>
    /// Values that were let go of are computed again, to the same bits; and an input that does not train changes
    /// nothing for the others.
    /// </summary>
    [TestCaseSource(nameof(Cases))]
    public void ForgettingAndFreezingChangeNothing(ExpressionCase test)
    {
        using var run = new ExpressionRun(Device, test);
        run.Step();
        float[][] gradients = run.Gradients();
        for (int i = 0; i < test.Inputs.Length; i++)
        {
            using var alone = new ExpressionRun(Device, test, trains: i, kept: 0);
            float[] before = alone.Output.Value.ToArray();
            alone.Step();
            Assert.That(alone.Gradients()[i], Is.EqualTo(gradients[i]), $"input {i}");
            Assert.That(alone.Output.Value.ToArray(), Is.EqualTo(before));
        }
    }

    /// <summary>A step's graph, captured once, reads what the factors hold when it is replayed.</summary>
    [TestCaseSource(nameof(Cases))]
    public void ACapturedStepReadsNewFactors(ExpressionCase test)
    {
        using var run = new ExpressionRun(Device, test);
        run.Step(); // makes the index tables, which come from the host
        using var graph = Graph.Capture(Device, run.Step);
        run.Change();
        graph.Launch();
        (float[] value, float[][]? gradients) = (run.Output.Value.ToArray(), run.Gradients());
        run.Step();
        Assert.That(run.Gradients(), Is.EqualTo(gradients));
        Assert.That(run.Output.Value.ToArray(), Is.EqualTo(value));
        VerifyGradient(value, test.Formula(run.Values), Tolerance, test.Name);
    }

    [Test]
    public void EveryOperationHasACase()
    {
        var seen = new HashSet<Type>();
        foreach (ExpressionCase test in Cases)
        {
            Visit(
                test.Build([
                    .. test.Inputs.Select(shape => (Expression)new Factor("x", shape, true, Start.Zeros, false)),
                ])
            );
        }

        Assert.That(
            typeof(Expression)
                .Assembly.GetTypes()
                .Where(type => type.IsSubclassOf(typeof(Expression)))
                .Except([typeof(BaseTensor), typeof(SpectralChange), typeof(Detached)]),
            Is.SubsetOf(seen)
        );

        void Visit(Expression expression)
        {
            seen.Add(expression.GetType());
            foreach (Expression input in expression.Inputs)
                Visit(input);
        }
    }
}
