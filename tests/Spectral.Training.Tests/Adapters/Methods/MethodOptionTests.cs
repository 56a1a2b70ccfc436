using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Methods;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>
/// Every method with every option that changes what an adapter means, both from their lists: the adapter computes the
/// same when it is read again, merged and exported, or it is refused before it is made, by the name of the option.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MethodOptionTests(DeviceKind kind) : TrainingTest(kind)
{
    private static readonly ModelConfig Config = TinyModels.Everything with { Layers = 1 };

    private static readonly AdapterOptions Options = new()
    {
        InvocationTokens = [3],
        Rank = 2,
        Alpha = 3,
        TopK = 2,
        Seed = 5,
        TargetModules = ["q_proj", "v_proj", "o_proj", "up_proj"],
    };

    private static readonly (string Name, Func<AdapterOptions, AdapterOptions> Set)[] Shared =
    [
        ("--rank", options => options with { Rank = 4 }),
        ("--alpha", options => options with { Alpha = 5 }),
        ("--rslora", options => options with { RankStabilized = true }),
        ("--rank-pattern", options => options with { RankPattern = [new("q_proj", 4)] }),
        ("--alpha-pattern", options => options with { AlphaPattern = [new(@"self_attn\.v_proj", 40)] }),
        ("--bias", options => options with { Bias = AdapterBias.Adapted }),
        ("--top-k", options => options with { TopK = 3 }),
        ("--dropout", options => options with { Dropout = 0.25 }),
        ("--target", options => options with { TargetModules = ["self_attn.q_proj", "model.layers.0.mlp.up_proj"] }),
    ];

    private Batch Data { get; } = Batch.Create(TinyModels.Records(4, Config, new Random(7)), 0);

    private string Saved => Path.Combine(Folder.Path, "adapter");

    [TestCaseSource(nameof(Methods))]
    public void AnOptionIsKeptOrRefused(string name)
    {
        AdapterMethod method = AdapterMethods.Find(name);
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using var folder = ModelFolder.Open(Folder.Path);
        int kept = 0;
        foreach ((string option, Func<AdapterOptions, AdapterOptions> set) in Shared.Concat(Settings(method)))
        {
            if (Attach(model, method, option, set(Options)) is { } adapter)
            {
                using (adapter)
                    IsKept(model, folder, adapter, $"{name} {option}");
                kept++;
            }
        }

        Assert.That(kept, Is.Positive, "the test means something");
    }

    /// <summary>
    /// What is refused, as PEFT's config has no key for it: from the lists of keys of PEFT's config classes.
    /// </summary>
    [TestCase("gralora", "--rslora")]
    [TestCase("randlora", "--rslora")]
    [TestCase("lokr", "--rslora")]
    [TestCase("loha", "--rslora")]
    [TestCase("gralora", "--alpha-pattern")]
    [TestCase("randlora", "--alpha-pattern")]
    [TestCase("adalora", "--rank-pattern")]
    [TestCase("hra", "--rank-pattern")]
    [TestCase("miss", "--rank-pattern")]
    [TestCase("vb-lora", "--rank-pattern")]
    [TestCase("lokr", "--bias")]
    [TestCase("loha", "--bias")]
    [TestCase("hira", "--bias")]
    [TestCase("hra", "--dropout")]
    public void WhatPeftHasNoPlaceForIsRefused(string method, string option)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        AdapterOptions options = Shared.First(shared => shared.Name == option).Set(Options);
        Assert.That(
            () => TestAdapters.Attach(model, AdapterMethods.Find(method), options),
            Throws.TypeOf<InputException>().With.Message.StartsWith(option + ":").And.Message.Contains(method)
        );
        Assert.That(Adapter.Of(model), Is.Null);
    }

    /// <summary>What a method says of the SVD is what it does.</summary>
    [TestCaseSource(nameof(Methods))]
    public void TheChoiceOfAnSvdIsReadByThoseThatSaySo(string name)
    {
        AdapterMethod method = AdapterMethods.Find(name);
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        foreach (
            (string option, Func<AdapterOptions, AdapterOptions> set) in Settings(method).Prepend(("", same => same))
        )
        {
            HashSet<string> read = [];
            AdapterOptions options = set(Options) with { ReadNames = read };
            try
            {
                TestAdapters.Attach(model, method, options).Dispose();
            }
            catch (InputException)
            {
                continue; // a value that suits no such small layer
            }
            bool uses = method.UsesSvd(options);
            Assert.That(read.Contains(nameof(AdapterOptions.Svd)), Is.EqualTo(uses), $"{name} {option}");
        }
    }

    /// <summary>LoRA's starts of singular triplets are a matter of a setting.</summary>
    [TestCase("lora", "init", 3, true)]
    [TestCase("lora", "init", 4, false)]
    [TestCase("corda", "mode", 0, true)]
    [TestCase("corda", "mode", 1, false)]
    public void TheChoiceOfAnSvdMayDependOnASetting(string method, string setting, double value, bool uses)
    {
        Dictionary<string, double> settings = new() { [setting] = value };
        Assert.That(AdapterMethods.Find(method).UsesSvd(Options with { Settings = settings }), Is.EqualTo(uses));
    }

    private static string[] Methods() => TestAdapters.LayerMethods;

    /// <summary>Each setting of the method's own at a value that is not its default.</summary>
    private static IEnumerable<(string Name, Func<AdapterOptions, AdapterOptions> Set)> Settings(
        AdapterMethod method
    ) =>
        method
            .Settings.Where(setting =>
                setting.Name is not OrthogonalTasksMethod.PreviousRank && setting != ChosenEntries.Kept
            )
            .Select(setting =>
            {
                double own = setting.Default;
                double[] tried = [own + 1, own / 2, own * 2, own + 0.01, setting.Least, setting.Most];
                double other = tried.First(value => value != own && setting.Allows(value));
                return (
                    $"--set {setting.Name}",
                    (Func<AdapterOptions, AdapterOptions>)(
                        options => options with { Settings = new Dictionary<string, double> { [setting.Name] = other } }
                    )
                );
            });

    /// <summary>
    /// The adapter with values of its own; null if the method refuses the option, which the message has to name, or a
    /// layer does not suit it.
    /// </summary>
    private static Adapter? Attach(
        CausalLanguageModel model,
        AdapterMethod method,
        string option,
        AdapterOptions options
    )
    {
        try
        {
            AdaptedModule.Describe(method, options, AdapterTargets.Of(model.Config, options));
        }
        catch (InputException)
        {
            return null; // which tests of the methods look at
        }
        try
        {
            Adapter adapter = TestAdapters.Attach(model, method, options);
            TestAdapters.Perturb(adapter, 3);
            return adapter;
        }
        catch (InputException refusal)
        {
            Assert.That(refusal.Message, Does.StartWith(option + ":").And.Contain(method.Name));
            return null;
        }
    }

    private void IsKept(CausalLanguageModel model, ModelFolder folder, Adapter adapter, string what)
    {
        float[] expected = Losses.Logits(model, Data);
        float tolerance = 2e-5f * expected.Max(Math.Abs);
        adapter.Save(Saved);
        (bool merges, bool exports, double dropout) = (
            adapter.Modules.All(module => module.Form.IsMergeable),
            adapter.Modules.All(module => (module.TrainsBias ? Unbiased(module.Form) : module.Form).IsLowRank),
            adapter.Options.Dropout
        );
        adapter.Dispose();
        using (var loaded = Adapter.Load(model, Saved))
        {
            Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected).Within(tolerance), what);
            if (loaded.Modules[0].Form.Terms.Count > 0)
                Assert.That(loaded.Options.Dropout, Is.EqualTo(dropout), what);
            Assert.That(loaded.RequireSavable, Throws.Nothing, what);
        }
        if (merges)
        {
            string merged = Directory.CreateDirectory(Path.Combine(Folder.Path, "merged")).FullName;
            Merger.Merge(folder, Saved, merged, Device);
            using var opened = ModelFolder.Open(merged);
            using var plain = CausalLanguageModel.Load(opened, Device, DType.F32);
            Assert.That(Losses.Logits(plain, Data), Is.EqualTo(expected).Within(tolerance), what + " merged");
        }
        if (exports)
        {
            string exported = Directory.CreateDirectory(Path.Combine(Folder.Path, "exported")).FullName;
            LoraExporter.Export(Saved, exported, Device, folder);
            using var lora = Adapter.Load(model, exported);
            Assert.That(Losses.Logits(model, Data), Is.EqualTo(expected).Within(tolerance), what + " exported");
        }
    }

    private static AdapterForm Unbiased(AdapterForm form) => form with { Bias = null };
}
