using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

public sealed class AdapterConfigTests
{
    private const string Q0 = "model.layers.0.self_attn.q_proj";
    private const string Q11 = "model.layers.11.self_attn.q_proj";

    private static AdapterConfig Config(params string[] targets) =>
        AdapterFiles.Config("lora", new AdapterOptions(), targets);

    [TestCase("q_proj", true)]
    [TestCase("self_attn.q_proj", true)]
    [TestCase(Q0, true)]
    [TestCase("proj", false)]
    [TestCase("Q_PROJ", false)]
    [TestCase("q_pro.", false)]
    public void ListsMatchNamesAndEndsOfNames(string item, bool matches) =>
        Assert.That(Config("x", item).Matches(Q0), Is.EqualTo(matches));

    [TestCase(@".*\.(q|v)_proj", true)]
    [TestCase("q_proj", false)]
    [TestCase(@"model\.layers\.0\..*_proj|nothing", true)]
    [TestCase("nothing|model", false)]
    [TestCase("all-linear", true)]
    [TestCase("All-Linear", true)]
    [TestCase(@".*\.(?P<which>q|v)_(?P<what>proj)\Z", true)]
    [TestCase(@"(?P<all>(?P<one>m)odel.*)(?P=one)?[(?P<]?\.self_at{,2}n\.[qkv]_proj", true)]
    [TestCase(@"model[]{,3}.]+layers\.\d{,2}\..*q_proj", true)]
    [TestCase(@".*\.q_pro\\Z", false)]
    public void ExpressionsMatchTheFullName(string text, bool matches) =>
        Assert.That(
            (Config() with { TargetModules = ModulePattern.Parse(text, "t") }).Matches(Q0),
            Is.EqualTo(matches)
        );

    [Test]
    public void AllLinearLeavesOutTheHead() =>
        Assert.That(
            (Config() with { TargetModules = ModulePattern.Parse("all-linear", "t") }).Matches("lm_head"),
            Is.False
        );

    [Test]
    public void ExclusionsComeFirst()
    {
        AdapterConfig config = Config("q_proj");
        Assert.That(
            (config with { ExcludeModules = ModulePattern.Of(["layers.0.self_attn.q_proj"]) }).Matches(Q0),
            Is.False
        );
        Assert.That(
            (config with { ExcludeModules = ModulePattern.Of(["layers.0.self_attn.q_proj"]) }).Matches(Q11),
            Is.True
        );
        Assert.That((config with { ExcludeModules = ModulePattern.Parse(@".*\.0\..*", "t") }).Matches(Q0), Is.False);
    }

    [Test]
    public void LayersAreCountedForNamesFoundByTheirEnd()
    {
        AdapterConfig config = Config("q_proj") with { LayersToTransform = [11] };
        Assert.That((config.Matches(Q0), config.Matches(Q11)), Is.EqualTo((false, true)));
        Assert.That((config with { LayersPattern = ["layers"] }).Matches(Q11), Is.True);
        Assert.That((config with { LayersPattern = ["h", "blocks"] }).Matches(Q11), Is.False);
        Assert.That(
            (config with { TargetModules = ModulePattern.Of([Q0]) }).Matches(Q0),
            Is.True,
            "a full name is adapted in any layer"
        );
        Assert.That(config.Matches("q_proj"), Is.True, "likewise");
        Assert.That(config.Matches("a.q_proj"), Is.False, "no layer in the name");
        Assert.That((config with { LayersToTransform = [] }).Matches(Q0), Is.True);
    }

    [Test]
    public void RanksAlphasAndScalesOfSingleModules()
    {
        AdapterOptions options = new()
        {
            Rank = 4,
            Alpha = 8,
            RankPattern = [new(@"layers\.1\d\.self_attn\.q_proj", 16), new("q_proj", 2)],
            AlphaPattern = [new("1.self_attn.q_proj", 32)],
        };
        Assert.That(
            (options.For(Q11).Rank, options.For(Q0).Rank, options.For("model.v_proj").Rank),
            Is.EqualTo((16, 2, 4))
        );
        Assert.That(
            (options.For(Q11).Scale, options.For(Q0).Scale, options.For("v_proj").Scale),
            Is.EqualTo((0.5, 4.0, 2.0)),
            "1.self… is the end of 11.self… only after a dot"
        );
        Assert.That((options with { RankStabilized = true }).For("v_proj").Scale, Is.EqualTo(4));
    }

    [Test]
    public void AnExpressionOfExponentialTimeIsStopped() =>
        Assert.That(
            () => ModulePattern.Parse("(?!b)(a|aa)+$b", "t").Matches(new string('a', 80)),
            Throws.TypeOf<InputException>().With.Message.Contains("takes more than")
        );
}
