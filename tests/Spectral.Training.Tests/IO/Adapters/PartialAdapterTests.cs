using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests;

namespace Spectral.Training.Tests;

/// <summary>
/// Files that lack some of what their config says, as PEFT writes and reads them: biases under the names of its versions or none at all, and
/// layers without tensors. Right values are those of the reference model in double.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class PartialAdapterTests(DeviceKind kind) : AdapterFileTest(kind)
{
    private const string Prefix = "base_model.model.";
    private const string Targets = $"""["{Query}","{Down}"]""";

    // PEFT up to 0.5 stores the bias of an adapted layer as the layer's, later versions as that of the layer they wrapped.
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
        Assert.That(Warnings(), Has.Count.EqualTo(1).And.One.Contains("adapter_model.safetensors").And.One.Contains(Query));
        Verify();
    }

    [Test]
    public void WhereItHasOneOfTwoThatOneIsUsed()
    {
        Adapt(Query, Down);
        TrainBias(Down, "base_layer.bias");
        Write(Targets, ("bias", "\"lora_only\""));
        Assert.That(Warnings(), Has.Count.EqualTo(1).And.One.Contains("for 1 layers, the first").And.One.Contains(Query));
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
        Assert.That(() => LoraExporter.Export(Saved, Folder.Path, Device), Throws.TypeOf<InputException>().With.Message.Contains("biases"));
    }

    [Test]
    public void AFreshAdapterTrainsThemToo()
    {
        AdapterOptions options = new() { Rank = 2, Bias = AdapterBias.All, TargetModules = ["q_proj"] };
        using (Adapter adapter = Adapter.Attach(Loaded, AdapterMethods.Find("lora"), options))
        {
            VerifyLogits();
            Assert.That(adapter.Parameters.Parameters.Select(parameter => parameter.Name), Contains.Item($"{Down}.bias"));
            foreach (Parameter parameter in adapter.Parameters.Parameters.Where(parameter => parameter.Name.EndsWith("bias", StringComparison.Ordinal)))
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
        ModelConfig plain = Model with { MlpBias = false };
        Assert.That(() => new AdapterReader(Saved, plain).Dispose(), Throws.TypeOf<InputException>().With.Message.Contains($"{Down}.bias' is not part of"));
    }

    // PEFT gives layers without tensors the start of a fresh adapter, which changes nothing, and warns.
    [Test]
    public void LayersWithoutTensorsStayAsTheyAre()
    {
        Adapt(Query);
        Write("\"all-linear\"");
        string[] linears = [.. ModelTensors.Linears(Model).Select(linear => linear.Name)];
        Assert.That(Warnings(), Has.Count.EqualTo(1).And.One.Contains("adapter_model.safetensors")
            .And.One.Contains($"{linears.Length - 1} of the {linears.Length} layers").And.One.Contains(linears.First(name => name != Query)));
        Verify();
    }

    // Without the key FourierFT's and C3A's start is random too.
    [TestCase("LORA", "init_lora_weights", "false")]
    [TestCase("HRA", "init_weights", "false")]
    [TestCase("FOURIERFT", "init_weights", null)]
    [TestCase("C3A", "init_weights", "\"gaussian\"")]
    public void WhereTheirStartWouldBeRandomTheyAreMissed(string type, string key, string? value)
    {
        Tensor($"{Prefix}{Query}.{type switch { "LORA" => "lora_A.weight", "HRA" => "hra_u", "C3A" => "c3a_kernel", _ => "fourierft_spectrum" }}", 2);
        JsonObject config = new() { ["peft_type"] = type, ["target_modules"] = new JsonArray(Query, Down) };
        if (value is not null)
            config[key] = JsonNode.Parse(value);
        Write(config);
        Assert.That(() => new AdapterReader(Saved, Model).Dispose(), Throws.TypeOf<InputException>().With.Message.Contains($"no tensors for {Down}"));
    }

    [Test]
    public void FanInFanOutIsTakenAsFalse()
    {
        Adapt(Query, Down);
        Write(Targets, ("fan_in_fan_out", "true"));
        Assert.That(Warnings(), Has.Count.EqualTo(1).And.One.Contains("adapter_config.json: fan_in_fan_out is true"));
        Verify();
    }

    private void Adapt(params string[] modules)
    {
        foreach (string module in modules)
            Expected[$"{module}.weight"] = (Weight(module) + 2 * LowRank(module)).Values;
    }

    private void TrainBias(string module, string leaf) => Expected[$"{module}.bias"] = Tensor($"{Prefix}{module}.{leaf}", Shape(module).Out);
}
