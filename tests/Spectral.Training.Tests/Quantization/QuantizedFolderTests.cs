using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Quantization;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Quantization;

/// <summary>Folders with quantised weights open like any other and have the values of their definitions.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class QuantizedFolderTests(DeviceKind kind) : TrainingTest(kind)
{
    private static IEnumerable<string> Forms => QuantizedFolders.Forms.Keys;

    private string Quantized => Folder.File("quantized");

    private string Dense => Folder.File("dense");

    [TestCaseSource(nameof(Forms))]
    public void EveryTensorHasTheValuesOfItsForm(string form)
    {
        Dictionary<string, float[]> expected = QuantizedFolders.Write(Quantized, form);
        using var folder = ModelFolder.Open(Quantized);
        Assert.That(folder.TensorNames, Is.EquivalentTo(expected.Keys));
        Assert.That(folder.Warnings, Is.Empty);
        foreach ((string name, float[] values) in expected)
            Assert.That(folder[name].ToFloats(), Is.EqualTo(values), name);
    }

    // Pieces begin and end within bytes, blocks, tiles and rows.
    [TestCaseSource(nameof(Forms))]
    public void PiecesAreThoseOfTheWhole(string form)
    {
        float[] expected = QuantizedFolders.Write(Quantized, form)["model.layers.0.mlp.up_proj.weight"];
        using var folder = ModelFolder.Open(Quantized);
        SafetensorsTensor tensor = folder["model.layers.0.mlp.up_proj.weight"];
        foreach ((int start, int count) in new[] { (0, 1), (1, 1), (31, 3), (63, 66), (159, 163), (20431, 18001) })
        {
            float[] piece = new float[count];
            tensor.ReadFloats(start, piece);
            Assert.That(piece, Is.EqualTo(expected[start..(start + count)]), $"{count} from {start} on");
        }
    }

    [TestCaseSource(nameof(Forms))]
    public void TheLossIsThatOfTheDequantisedWeights(string form)
    {
        QuantizedFolders.WriteDense(Dense, QuantizedFolders.Write(Quantized, form));
        (double loss, float[] logits) = Run(Quantized);
        (double expected, float[] expectedLogits) = Run(Dense);
        Assert.That(loss, Is.EqualTo(expected).Within(1e-5));
        Assert.That(logits, Is.EqualTo(expectedLogits).Within(1e-5f));
    }

    [TestCaseSource(nameof(Forms))]
    public void ADeviceGetsCodesAndScalesAsTheyAre(string form)
    {
        Dictionary<string, float[]> expected = QuantizedFolders.Write(Quantized, form);
        using var folder = ModelFolder.Open(Quantized);
        Assert.That(folder.Quantized("model.norm.weight"), Is.Null);
        foreach (LinearSpec linear in ModelTensors.Linears(folder.Config))
        {
            using QuantizedMatrix matrix = folder.Quantized(linear.Weight)!.ToDevice(Device);
            using var values = Tensor.Empty(Device, (linear.Outputs, linear.Inputs));
            matrix.Dequantize(0, values);
            Assert.That(values.ToArray(), Is.EqualTo(expected[linear.Weight]), linear.Weight);
            Assert.That(matrix.Scales is null, Is.EqualTo(form.EndsWith("nested", StringComparison.Ordinal)));
        }
    }

    [TestCase(127)]
    [TestCase(255)]
    public void ADeviceGetsNoCodesOfNaN(int code)
    {
        byte[] codes = new byte[160 * 160];
        codes[161] = (byte)code;
        QuantizedFolders.Write(
            Quantized,
            "fp8 tiles",
            tensors =>
            {
                int at = tensors.FindIndex(tensor => tensor.Name == QuantizedFolders.Query);
                tensors[at] = Encoded.Bytes(QuantizedFolders.Query, StoredType.F8E4M3, [160, 160], codes);
            }
        );
        using var folder = ModelFolder.Open(Quantized);
        StoredWeight weight = folder.Quantized(QuantizedFolders.Query)!;
        Assert.That(
            () => weight.ToDevice(Device).Dispose(),
            Throws.TypeOf<InputException>().With.Message.Contains($"code {code}, which is no number, at [1, 1]")
        );
    }

    [Test]
    public void ShardsAndWrappersMakeNoDifference()
    {
        (List<TensorToWrite> tensors, Dictionary<string, float[]> expected) = QuantizedFolders.Encode("nf4 nested");
        Directory.CreateDirectory(Quantized);
        JsonObject map = [];
        for (int shard = 0; shard < 2; shard++)
        {
            string file = $"model-0000{shard + 1}-of-00002.safetensors";
            TensorToWrite[] part =
            [
                .. tensors
                    .Where((_, index) => index % 2 == shard)
                    .Select(tensor => tensor with { Name = "base_model.model." + tensor.Name }),
            ];
            SafetensorsWriter.Write(Path.Combine(Quantized, file), part);
            foreach (TensorToWrite tensor in part)
                map[tensor.Name] = file;
        }
        JsonObject config = QuantizedFolders.Config();
        config["quantization_config"] = JsonNode.Parse(BitsandbytesCases.FourBit);
        File.WriteAllText(Path.Combine(Quantized, "config.json"), config.ToJsonString());
        File.WriteAllText(
            Path.Combine(Quantized, "model.safetensors.index.json"),
            new JsonObject
            {
                ["metadata"] = new JsonObject { ["total_size"] = tensors.Sum(SafetensorsWriter.Bytes) },
                ["weight_map"] = map,
            }.ToJsonString()
        );
        using var folder = ModelFolder.Open(Quantized);
        Assert.That(folder.Warnings, Is.Empty);
        foreach ((string name, float[] values) in expected)
            Assert.That(folder[name].ToFloats(), Is.EqualTo(values), name);
    }

    [Test]
    public void DigestsCoverCodesAndScales()
    {
        HashSet<string> digests = [];
        string[] parts = ["", ".absmax", ".nested_absmax", ".nested_quant_map", ".quant_map"];
        foreach (string part in parts.Append("none"))
        {
            QuantizedFolders.Write(
                Quantized,
                "nf4 nested",
                tensors => FlipAByte(tensors, QuantizedFolders.Query + part)
            );
            using var folder = ModelFolder.Open(Quantized);
            digests.Add(folder.Sha256(QuantizedFolders.Query));
        }
        Assert.That(digests, Has.Count.EqualTo(parts.Length + 1));
    }

    // A matrix with an odd number of elements, of which no block is whole; no part of the model uses it.
    [TestCase(false)]
    [TestCase(true)]
    public void AnOddNumberOfElementsLeavesHalfAByte(bool nested)
    {
        float[] weight = [.. Enumerable.Range(0, 35).Select(i => MathF.Sin(i))];
        Encoded odd = BitsandbytesCases.Four("nf4", 64, nested)("extra.weight", 5, 7, weight);
        QuantizedFolders.Write(Quantized, "nf4", tensors => tensors.AddRange(odd.Tensors));
        using var folder = ModelFolder.Open(Quantized);
        Assert.That(folder["extra.weight"].Shape, Is.EqualTo(new long[] { 5, 7 }));
        Assert.That(folder["extra.weight"].ToFloats(), Is.EqualTo(odd.Values));
        Assert.That(folder.Warnings.Single(), Does.Contain("1 tensors are not part").And.Contain("'extra.weight'"));
    }

    [Test]
    public void SettingsWithoutQuantisedWeightsAreMentioned()
    {
        Dictionary<string, float[]> values = QuantizedFolders.Write(Folder.File("other"), "nf4");
        QuantizedFolders.WriteDense(Quantized, values);
        JsonObject config = QuantizedFolders.Config();
        config["quantization_config"] = JsonNode.Parse(BitsandbytesCases.FourBit);
        File.WriteAllText(Path.Combine(Quantized, "config.json"), config.ToJsonString());
        using var folder = ModelFolder.Open(Quantized);
        Assert.That(
            folder.Warnings.Single(),
            Does.Contain("quantization_config").And.Contain("no weight is quantised")
        );
    }

    // Older compressed-tensors used this key; older transformers named no method.
    [Test]
    public void OlderSettingsAreRead()
    {
        Dictionary<string, float[]> expected = QuantizedFolders.Write(
            Quantized,
            "int-quantized",
            changeConfig: config =>
            {
                JsonNode settings = config["quantization_config"]!;
                config.Remove("quantization_config");
                config["compression_config"] = settings;
            }
        );
        using (var folder = ModelFolder.Open(Quantized))
        {
            float[] query = folder[QuantizedFolders.Query].ToFloats();
            Assert.That(query, Is.EqualTo(expected[QuantizedFolders.Query]));
        }
        expected = QuantizedFolders.Write(
            Quantized,
            "llm.int8",
            changeConfig: config => config["quantization_config"]!.AsObject().Remove("quant_method")
        );
        using var unnamed = ModelFolder.Open(Quantized);
        Assert.That(unnamed[QuantizedFolders.Query].ToFloats(), Is.EqualTo(expected[QuantizedFolders.Query]));
    }

    private (double Loss, float[] Logits) Run(string directory)
    {
        using var folder = ModelFolder.Open(directory);
        CausalLanguageModel model = Keep(CausalLanguageModel.Load(folder, Device, DType.F32));
        var batch = Batch.Create(TinyModels.Records(3, model.Config, new Random(3)));
        return (Losses.Of(model, batch), Losses.Logits(model, batch));
    }

    private static void FlipAByte(List<TensorToWrite> tensors, string name)
    {
        int at = tensors.FindIndex(tensor => tensor.Name == name);
        if (at < 0)
            return;
        TensorToWrite tensor = tensors[at];
        using MemoryStream stream = new();
        tensor.Write(stream);
        byte[] bytes = stream.ToArray();
        bytes[0] ^= 1;
        tensors[at] = tensor with { Write = target => target.Write(bytes) };
    }
}
