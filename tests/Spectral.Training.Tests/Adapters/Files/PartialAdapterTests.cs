using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

/// <summary>
/// Files that lack some of what their config says, as PEFT writes and reads them: biases under the names of its
/// versions or none at all, and layers without tensors. Right values are those of the reference model in double.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PartialAdapterTests(DeviceKind kind) : AdapterFileTest(kind)
{
    private const string Prefix = "base_model.model.";
    private const string Targets = $"""["{Query}","{Down}"]""";

    // PEFT up to 0.5 stores the bias of an adapted layer as the layer's, later versions as that of the layer they
    // wrapped.
    [TestCase("bias")]
    [TestCase("base_layer.bias")]
    public void BiasesHaveTheNamesOfAllVersions(string leaf)
    {
        Adapt(Query, Down);
        TrainBias(Query, leaf);
        TrainBias(Down, leaf);
        Write(Targets, ("bias", "\"lora_only\""));
        Assert.That(Warnings(), Is.Empty);
        Verify();
    }

    // PEFT up to 0.20 writes bias="lora_only" and leaves the biases out.
    [TestCase("lora_only")]
    [TestCase("all")]
    public void WhereTheFileHasNoBiasesTheModelsAreUsed(string bias)
    {
        Adapt(Query, Down);
        Write(Targets, ("bias", $"\"{bias}\""));
        VerifyWarning("adapter_model.safetensors", Query);
        Verify();
    }

    [Test]
    public void WhereItHasOneOfTwoThatOneIsUsed()
    {
        Adapt(Query, Down);
        TrainBias(Down, "base_layer.bias");
        Write(Targets, ("bias", "\"lora_only\""));
        VerifyWarning("for 1 layers, the first", Query);
        using (Adapter.Load(Loaded, Saved))
            VerifyLogits();
        VerifyMerged();
    }

    [Test]
    public void BiasesOfLayersThatAreNoTargetsComeAlong()
    {
        Adapt(Query);
        foreach (LinearSpec linear in ModelTensors.Linears(Model))
            TrainBias(linear.Name, linear.Name == Query ? "base_layer.bias" : "bias");
        Write($"""["{Query}"]""", ("bias", "\"all\""));
        Assert.That(Warnings(), Is.Empty);
        Verify();
        string exported = Directory.CreateDirectory(Path.Combine(Folder.Path, "exported")).FullName;
        LoraExporter.Export(Saved, exported, Device);
        using (Adapter.Load(Loaded, exported))
            VerifyLogits();
    }

    [Test]
    public void AFreshAdapterTrainsThemToo()
    {
        AdapterOptions options = new()
        {
            Rank = 2,
            Bias = AdapterBias.All,
            TargetModules = ["q_proj"],
        };
        using (var adapter = Adapter.Attach(Loaded, AdapterMethods.Find("lora"), options))
        {
            VerifyLogits();
            IReadOnlyList<Parameter> all = adapter.Parameters.Parameters;
            Assert.That(all.Select(parameter => parameter.Name), Contains.Item($"{Down}.bias"));
            foreach (Parameter parameter in all.Where(other => other.Name.EndsWith("bias", StringComparison.Ordinal)))
            {
                float[] values = [.. parameter.Master.ToArray().Select((value, i) => value + 0.1f * (i % 3 - 1))];
                parameter.Master.CopyFrom(values);
                Expected[parameter.Name.Replace("base_layer.", "")] = Array.ConvertAll(values, value => (double)value);
            }
            adapter.Parameters.NotifyChanged();
            VerifyLogits();
            adapter.Save(Saved);
        }
        Verify();
    }

    [Test]
    public void ABiasOfALayerWithoutOneIsNamed()
    {
        Adapt(Query);
        Tensor($"{Prefix}{Down}.bias", Shape(Down).Out);
        Write($"""["{Query}"]""", ("bias", "\"all\""));
        VerifyRefused(Model with { MlpBias = false }, $"{Down}.bias' is not part of");
    }

    // PEFT gives layers without tensors the start of a fresh adapter, which changes nothing, and warns.
    [Test]
    public void LayersWithoutTensorsStayAsTheyAre()
    {
        Adapt(Query);
        Write("\"all-linear\"");
        string[] linears = [.. ModelTensors.Linears(Model).Select(linear => linear.Name)];
        string first = linears.First(name => name != Query);
        VerifyWarning("adapter_model.safetensors", $"{linears.Length - 1} of the {linears.Length} layers", first);
        Verify();
    }

    // Without the key FourierFT's and C3A's start is random too.
    [TestCase("LORA", "lora_A.weight", "init_lora_weights", "false")]
    [TestCase("HRA", "hra_u", "init_weights", "false")]
    [TestCase("FOURIERFT", "fourierft_spectrum", "init_weights", null)]
    [TestCase("C3A", "c3a_kernel", "init_weights", "\"gaussian\"")]
    public void WhereTheirStartWouldBeRandomTheyAreMissed(string type, string leaf, string key, string? value)
    {
        Tensor($"{Prefix}{Query}.{leaf}", 2);
        JsonObject config = new() { ["peft_type"] = type, ["target_modules"] = new JsonArray(Query, Down) };
        if (value is not null)
            config[key] = JsonNode.Parse(value);
        Write(config);
        VerifyRefused(Model, $"no tensors for {Down}");
    }

    [Test]
    public void FanInFanOutIsTakenAsFalse()
    {
        Adapt(Query, Down);
        Write(Targets, ("fan_in_fan_out", "true"));
        VerifyWarning("adapter_config.json: fan_in_fan_out is true");
        Verify();
    }

    private void Adapt(params string[] modules)
    {
        foreach (string module in modules)
            Expected[$"{module}.weight"] = (Weight(module) + 2 * LowRank(module)).Values;
    }

    private void TrainBias(string module, string leaf) =>
        Expected[$"{module}.bias"] = Tensor($"{Prefix}{module}.{leaf}", Shape(module).Out);
}
