using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Merging;
using static Spectral.Training.Tests.Merging.Methods.ElementwiseMergeTests;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>Methods that weigh whole tensors or models, against their formulas in double.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class CoefficientMergeTests(DeviceKind kind) : MergeTest(kind)
{
    [TestCase(false)]
    [TestCase(true)]
    public void NanWeighsByInverseNormsOfTheWholeModel(bool ofChanges)
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2, 0.4), Tuned(3, 1)];
        double[] norms = [.. inputs.Select((_, j) => Math.Sqrt(Total(inputs, j, ofChanges)))];
        double[] weights = [.. norms.Select(norm => 1 / norm / norms.Sum(other => 1 / other))];
        Assert.That(weights.Sum(), Is.EqualTo(1).Within(1e-12));
        Verify(
            Merge("nan", With(("norm", ofChanges ? 1 : 0)), inputs),
            inputs,
            (_, theta, changes) => Entries(theta, i => theta[i] + Sum(weights, (w, j) => w * changes[j][i]))
        );
    }

    [Test]
    public void NanCanWeighEachTensor()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2, 0.4)];
        Verify(
            Merge("nan", With(("norm", 1), ("scope", 1)), inputs),
            inputs,
            (_, theta, changes) =>
            {
                double[] inverse = [.. changes.Select(change => 1 / Math.Sqrt(Dot(change, change)))];
                return Entries(theta, i => theta[i] + (Sum(inverse, (w, j) => w * changes[j][i]) / inverse.Sum()));
            }
        );
    }

    [TestCase(0)]
    [TestCase(0.3)]
    [TestCase(1)]
    public void WiseFtGoesPartOfTheWay(double alpha)
    {
        MergeInput[] inputs = [Tuned(1)];
        Verify(
            Merge("wise-ft", With(("alpha", alpha)), inputs),
            inputs,
            (_, theta, changes) => Entries(theta, i => theta[i] + (alpha * changes[0][i])),
            2e-7
        );
    }

    [Test]
    public void LoFiIsTheMean()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2), Tuned(3)];
        Verify(
            Merge("lo-fi", null, inputs),
            inputs,
            (_, theta, changes) => Entries(theta, i => theta[i] + changes.Average(change => change[i])),
            3e-7
        );
    }

    [Test]
    public void ModelStockFollowsTheMeanAngle()
    {
        MergeInput[] inputs = [Tuned(1), new(Between(1, 2)), Tuned(3)];
        Verify(
            Merge("model-stock", null, inputs),
            inputs,
            (_, theta, changes) =>
            {
                double Angle(int a, int b) =>
                    Math.Acos(
                        Dot(changes[a], changes[b])
                            / Math.Sqrt(Dot(changes[a], changes[a]) * Dot(changes[b], changes[b]))
                    );
                double c = Math.Cos((Angle(0, 1) + Angle(0, 2) + Angle(1, 2)) / 3);
                double t = 3 * c / (1 + (2 * c));
                return Entries(theta, i => theta[i] + (t * changes.Average(change => change[i])));
            }
        );
    }

    [Test]
    public void ModelStockOfOrthogonalChangesIsTheBase()
    {
        MergeInput[] inputs = [new(Write("left", 0, 0)), new(Write("right", 0, 0))];
        Edit(inputs[0].Directory, Query, (i, value) => i % 2 == 0 ? value + 0.1f : value);
        Edit(inputs[1].Directory, Query, (i, value) => i % 2 == 1 ? value + 0.1f : value);
        Compare(Merge("model-stock", null, inputs)[Query], Values(Base)[Query], 1e-7, Query);
    }

    [Test]
    public void LinesScalesWithDepth()
    {
        MergeInput[] inputs = [Tuned(1, weight: 0.7), Tuned(2, weight: 0.4)];
        Verify(
            Merge("lines", With(("alpha", 0.25), ("beta", 0.5)), inputs),
            inputs,
            (name, theta, changes) =>
            {
                string[] parts = name.Split('.');
                double factor = parts[1] == "layers" ? 0.25 + (0.5 * int.Parse(parts[2]) / 2) : 0.25;
                return Entries(theta, i => theta[i] + (factor * ((0.7 * changes[0][i]) + (0.4 * changes[1][i]))));
            }
        );
    }

    [Test]
    public void EmaLetsLaterCheckpointsCountMore()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2), Tuned(3)];
        Verify(
            Merge("ema", With(("alpha", 0.6)), inputs),
            inputs,
            (_, theta, changes) =>
                Entries(theta, i => theta[i] + (0.36 * changes[0][i]) + (0.24 * changes[1][i]) + (0.4 * changes[2][i]))
        );
    }

    [Test]
    public void CapvectorAddsADifference()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2)];
        Verify(
            Merge("capvector", With(("alpha", 0.5)), inputs),
            inputs,
            (_, theta, changes) => Entries(theta, i => theta[i] + (0.5 * (changes[0][i] - changes[1][i])))
        );
    }

    [Test]
    public void DiffTransferCarriesAChangeToAnotherBase()
    {
        string older = Tuned(4, 0.5).Directory;
        MergeInput tuned = Tuned(5, 0.5);
        Dictionary<string, double[]> from = Values(older);
        Dictionary<string, double[]> to = Values(tuned.Directory);
        MergeOptions options = new() { Texts = new Dictionary<string, string> { ["from"] = older } };
        Dictionary<string, double[]> result = Merge("diff-transfer", options, tuned);
        foreach ((string name, double[] theta) in Values(Base))
            Compare(result[name], Entries(theta, i => theta[i] + to[name][i] - from[name][i]), 1e-6, name);
    }

    [Test]
    public void AssemblyTakesEachTensorInItsOwnProportions()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2)];
        string rules = @"layers\.1\.=0.25,0.75;self_attn=1,0;mlp=0, 1";
        Verify(
            Merge("assembly-of-experts", Rules(rules), inputs),
            inputs,
            (name, theta, changes) =>
            {
                (double First, double Second)? weights = name switch
                {
                    _ when name.Contains("layers.1.") => (0.25, 0.75),
                    _ when name.Contains("self_attn") => (1, 0),
                    _ when name.Contains("mlp") => (0, 1),
                    _ => null,
                };
                return weights is not { } given
                    ? theta
                    : Entries(
                        theta,
                        i => (given.First * (theta[i] + changes[0][i])) + (given.Second * (theta[i] + changes[1][i]))
                    );
            }
        );
        Compare(
            Merge("assembly-of-experts", Rules(".=0,1"), inputs)[Query],
            Values(inputs[1].Directory)[Query],
            0,
            "one parent is copied"
        );
    }

    [TestCase("mlp=1", "expected REGEX= and 2 numbers")]
    [TestCase("mlp=1,x", "expected REGEX= and 2 numbers")]
    [TestCase("mlp", "expected REGEX= and 2 numbers")]
    [TestCase("m(lp=1,2", "Not enough )")]
    public void AssemblyRefusesRulesThatDoNotParse(string rules, string message) =>
        Assert.That(
            () => Merge("assembly-of-experts", Rules(rules), Tuned(1), Tuned(2)),
            Throws.Exception.With.Message.Contains(message).And.Message.Contains("setting weights")
        );

    private static MergeOptions Rules(string rules) =>
        new() { Texts = new Dictionary<string, string> { ["weights"] = rules } };

    private string Between(int one, int other)
    {
        Dictionary<string, double[]> mixed = Merge("lo-fi", null, Tuned(one), Tuned(other));
        string directory = Write("between", 0, 0);
        foreach ((string name, double[] values) in mixed)
            Edit(directory, name, (i, _) => (float)values[i]);
        return directory;
    }

    private double Total(MergeInput[] inputs, int index, bool ofChanges)
    {
        Dictionary<string, double[]> origin = Values(Base);
        return Values(inputs[index].Directory)
            .Sum(tensor =>
                tensor.Value.Select((value, i) => Math.Pow(ofChanges ? value - origin[tensor.Key][i] : value, 2)).Sum()
            );
    }
}
