using System.Globalization;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Data;
using Spectral.Training.Merging;

namespace Spectral.Training.Tests.Merging;

/// <summary>What holds for merge methods whatever their formula.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MergeIdentityTests(DeviceKind kind) : MergeTest(kind)
{
    private static readonly string[] Names =
    [
        .. MergeMethods.All.OfType<OneModelMerge>().Select(method => method.Name),
    ];

    /// <summary>
    /// Options with which a method drops nothing and scales nothing, so that equal inputs give themselves. The weights
    /// add up to 1 where it adds.
    /// </summary>
    private (MergeOptions Options, double? Weight) Neutral(string method, int inputs)
    {
        MergeOptions whole = new() { Density = 1 };
        double share = 1.0 / inputs;
        string shares = string.Join(',', Enumerable.Repeat(share.ToString("R", CultureInfo.InvariantCulture), inputs));
        return method switch
        {
            "ties" or "dare-ties" or "della" => (whole, null),
            "magnitude" or "dare-linear" or "breadcrumbs" => (whole, share),
            "linear" => (new MergeOptions(), share),
            "lines" => (With(("alpha", 1), ("beta", 0)), share),
            "wise-ft" => (With(("alpha", 1)), null),
            "diff-transfer" => (Given("from", Base), share),
            "assembly-of-experts" => (Given("weights", $".={shares}"), null),
            "lot" => (WithData(With(("delta", 1e-9)), inputs), null),
            "atlas" => (WithData(With(("steps", 2)), 1), null),
            "concrete" => (WithData(With(("steps", 1)), 1), null),
            _ => (new MergeOptions(), null),
        };
    }

    private static MergeOptions Given(string setting, string value) =>
        new() { Texts = new Dictionary<string, string> { [setting] = value } };

    private MergeOptions WithData(MergeOptions options, int files) =>
        options with
        {
            Data = [.. Enumerable.Repeat<IReadOnlyList<EncodedRecord>>(Records(1), files)],
        };

    // Of one change, pcb keeps the entries that win, t-switch the signs, and the others what the records ask for.
    private static bool IsLossy(string method) => method is "pcb" or "t-switch" or "atlas" or "concrete";

    // Of equal inputs these keep a part of the directions, add each once more, or push them apart.
    private static bool IsLossyOfEqual(string method) => method is "dc-merge" or "opcm" or "do-merging";

    private static IEnumerable<string> OfOne => Names.Where(name => MergeMethods.Find(name).LeastInputs == 1);

    private static IEnumerable<string> OfThree => Names.Where(name => MergeMethods.Find(name).MostInputs >= 3);

    private static IEnumerable<string> Orderless => OfThree.Where(name => !MergeMethods.Find(name).DependsOnOrder);

    private static IEnumerable<string> Lossless => OfOne.Where(name => !IsLossy(name));

    private static IEnumerable<string> LosslessOfThree =>
        OfThree.Where(name => !IsLossy(name) && !IsLossyOfEqual(name));

    [TestCaseSource(nameof(Lossless))]
    public void OneInputGivesItselfBack(string method)
    {
        MergeInput input = Tuned(1);
        (MergeOptions options, double? weight) = Neutral(method, 1);
        Same(Merge(method, options, input with { Weight = weight }), Values(input.Directory), 1e-5);
    }

    [TestCaseSource(nameof(LosslessOfThree))]
    public void EqualInputsGiveThemselves(string method)
    {
        MergeInput input = Tuned(1);
        (MergeOptions options, double? weight) = Neutral(method, 3);
        MergeInput one = input with { Weight = weight };
        Same(Merge(method, options, one, one, one), Values(input.Directory), 1e-5);
    }

    [TestCaseSource(nameof(OfOne))]
    public void InputsLikeTheBaseGiveTheBase(string method)
    {
        MergeInput same = new(Base);
        MergeInput[] inputs = MergeMethods.Find(method).MostInputs >= 2 ? [same, same] : [same];
        Same(Merge(method, Neutral(method, inputs.Length).Options, inputs), Values(Base), 1e-6);
    }

    [TestCaseSource(nameof(Orderless))]
    public void TheOrderOfTheInputsDoesNotMatter(string method)
    {
        (MergeInput a, MergeInput b, MergeInput c) = (Tuned(1), Tuned(2), Tuned(3));
        MergeOptions options = Neutral(method, 3).Options with { Density = Density(method) };
        Same(Merge(method, options, a, b, c), Merge(method, options, c, a, b), 1e-5);
    }

    [TestCase("linear")]
    [TestCase("magnitude")]
    [TestCase("dare-linear")]
    public void WeightsOfZeroGiveTheBase(string method) =>
        Same(Merge(method, null, Tuned(1, weight: 0), Tuned(2, weight: 0)), Values(Base), 0);

    // The method's own density, so that what it drops is the same in any order.
    private static double? Density(string method) =>
        MergeMethods.Find(method) is var found && found.Uses.HasFlag(MergeUses.Density) ? found.DefaultDensity : null;

    private static void Same(Dictionary<string, double[]> actual, Dictionary<string, double[]> expected, double within)
    {
        foreach ((string name, double[] values) in expected)
            Compare(actual[name], values, within, name);
    }
}
