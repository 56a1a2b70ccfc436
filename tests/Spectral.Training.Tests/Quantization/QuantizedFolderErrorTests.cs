using System.Text;
using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Quantization;

/// <summary>
/// What is wrong with quantised weights is said in one line: file, tensor, what was found and expected.
/// </summary>
public sealed class QuantizedFolderErrorTests : FolderTest
{
    private const string Query = QuantizedFolders.Query;
    private const string Module = "model.layers.0.self_attn.q_proj";
    private const string State = Query + ".quant_state.bitsandbytes__nf4";

    [Test]
    public void ACodebookOfAnotherSize() =>
        MustSay(
            "nf4",
            tensors => Replace(tensors, Encoded.Floats(Query + ".quant_map", [17], new float[17])),
            $"tensor '{Query}.quant_map' is F32 [17], expected 16 floats"
        );

    [Test]
    public void ACodebookOfZeros() =>
        MustSay(
            "nf4",
            tensors => Replace(tensors, Encoded.Floats(Query + ".quant_map", [16], new float[16])),
            $"tensor '{Query}.quant_map'",
            "not all 0"
        );

    [Test]
    public void ANestedCodebookOfAnotherSize() =>
        MustSay(
            "nf4 nested",
            tensors => Replace(tensors, Encoded.Floats(Query + ".nested_quant_map", [16], new float[16])),
            $"tensor '{Query}.nested_quant_map' is F32 [16], expected 256 floats"
        );

    [Test]
    public void ScalesThatDoNotFitTheBlocks() =>
        MustSay(
            "nf4",
            tensors => Replace(tensors, Encoded.Floats(Query + ".absmax", [399], new float[399])),
            $"tensor '{Query}.absmax' is F32 [399], expected 400 floats"
        );

    [Test]
    public void NestedScalesThatDoNotFit() =>
        MustSay(
            "nf4 nested",
            tensors => Replace(tensors, Encoded.Floats(Query + ".nested_absmax", [3], new float[3])),
            $"tensor '{Query}.nested_absmax' is F32 [3], expected 2 floats"
        );

    [Test]
    public void NestedScalesWithoutAnOffset() =>
        MustSay(
            "nf4 nested",
            tensors => ReplaceState(tensors, "\"nested_blocksize\": 256"),
            $"tensor '{State}': nested_offset is missing, expected a number beside nested_blocksize"
        );

    [Test]
    public void NestedPartsOfPlainScales() =>
        MustSay(
            "nf4",
            tensors => tensors.Add(Encoded.Floats(Query + ".nested_absmax", [2], new float[2])),
            $"tensor '{Query}.nested_absmax' is F32 [2], expected none"
        );

    [TestCase("\"blocksize\": 48", "blocksize is 48, expected a power of two from 32 to 4096")]
    [TestCase("\"blocksize\": 8192", "blocksize is 8192, expected")]
    [TestCase("\"dtype\": \"int8\"", "dtype is the string 'int8', expected float32, float16 or bfloat16")]
    [TestCase("\"shape\": [288, 160]", "[288, 160], expected [160, 160] from config.json")]
    [TestCase("\"shape\": [160]", "[160], expected [160, 160] from config.json")]
    [TestCase("\"quant_type\": \"fp4\"", "quant_type is the string 'fp4', expected nf4 as the tensor's name says")]
    public void AStateThatDoesNotFit(string entry, string says) =>
        MustSay("nf4", tensors => ReplaceState(tensors, entry), $"tensor '{State}'", says);

    [Test]
    public void AStateThatIsNoJson() =>
        MustSay(
            "nf4",
            tensors => Replace(tensors, Encoded.Bytes(State, StoredType.U8, [3], "{\"a"u8.ToArray())),
            $"tensor '{State}'",
            "not valid JSON"
        );

    [TestCase(".absmax", "expected 400 floats")]
    [TestCase(".quant_map", "expected 16 floats")]
    [TestCase(".quant_state.bitsandbytes__nf4", "expected a state of nf4 or fp4 in JSON")]
    public void AMissingCompanion(string part, string says) =>
        MustSay("nf4", tensors => Remove(tensors, Query + part), $"tensor '{Query}{part}' is missing", says);

    [Test]
    public void CompanionsWithoutCodes() =>
        MustSay("nf4", tensors => Remove(tensors, Query), $"tensor '{Query}' is missing", "expected U8 codes");

    [Test]
    public void CodesOfAnotherSize() =>
        MustSay(
            "nf4",
            tensors => Replace(tensors, Encoded.Bytes(Query, StoredType.U8, [100, 1], new byte[100])),
            $"tensor '{Query}' is U8 [100, 1], expected U8 [12800, 1]"
        );

    [Test]
    public void FloatsBesideTheirScales() =>
        MustSay(
            "fp8 tiles",
            tensors => Replace(tensors, Encoded.Floats(Query, [160, 160], new float[25600])),
            $"tensor '{Query}' is F32 [160, 160], expected F8_E4M3"
        );

    [TestCase("fp8 tiles", "weight_scale_inv", "F32 [1, 2], expected [2, 2] for tiles of 128 × 128 in [160, 160]")]
    [TestCase("fp8 whole", "weight_scale", "F32 [1, 2], expected one scale")]
    [TestCase("float-quantized channel", "weight_scale", "F32 [1, 2], expected one scale, or [160, 1]")]
    [TestCase("int-quantized", "weight_scale", "F32 [1, 2], expected one scale, or [160, 1]")]
    [TestCase("mxfp4", "weight_scale", "F32 [1, 2], expected U8 [160, 5]")]
    [TestCase("llm.int8", "SCB", "F32 [1, 2], expected 160 floats")]
    public void ScalesOfAnotherShape(string form, string part, string says) =>
        MustSay(
            form,
            tensors => Replace(tensors, Encoded.Floats($"{Module}.{part}", [1, 2], [1, 1])),
            $"tensor '{Module}.{part}' is {says}"
        );

    [TestCase("fp8 tiles", "weight_scale_inv")]
    [TestCase("int-quantized", "weight_scale")]
    [TestCase("mxfp4", "weight_scale")]
    [TestCase("llm.int8", "SCB")]
    public void MissingScales(string form, string part) =>
        MustSay(form, tensors => Remove(tensors, $"{Module}.{part}"), Module, "is missing beside");

    [Test]
    public void ZeroPoints() =>
        MustSay(
            "int-quantized",
            tensors => tensors.Add(Encoded.Bytes($"{Module}.weight_zero_point", StoredType.I8, [160, 1], Ones(160))),
            $"tensor '{Module}.weight_zero_point' is I8 [160, 1], expected zeros"
        );

    [Test]
    public void ColumnsInAnotherOrder() =>
        MustSay(
            "int-quantized",
            tensors => tensors.Add(Encoded.Bytes($"{Module}.weight_g_idx", StoredType.U8, [160], Ones(160))),
            "weight_g_idx",
            "another order"
        );

    [Test]
    public void RowsInAnotherOrder() =>
        MustSay(
            "llm.int8",
            tensors => Replace(tensors, Encoded.Bytes($"{Module}.weight_format", StoredType.U8, [], [1])),
            "weight_format",
            "expected 0, rows in their own order"
        );

    [TestCase("llm.int8", "load_in_4bit", "load_in_8bit", "quant_state.bitsandbytes__nf4' is missing beside")]
    [TestCase("nf4", "load_in_8bit", "load_in_4bit", "is U8 [23040, 1], expected I8 codes, as load_in_8bit says")]
    public void AnotherSizeThanTheSettingsSay(string form, string said, string stored, string says) =>
        MustSay(
            form,
            null,
            settings =>
            {
                settings.Remove(stored);
                settings[said] = true;
            },
            says
        );

    [TestCase("llm_int8_skip_modules")]
    [TestCase("modules_to_not_convert")]
    public void AQuantisedWeightThatIsListedAsNone(string key) =>
        MustSay(
            "nf4",
            null,
            settings => settings[key] = new JsonArray("lm_head", "q_proj"),
            $"tensor '{Query}' is U8",
            "quantization_config of",
            "lists 'q_proj' as not quantised"
        );

    [TestCase("gptq")]
    [TestCase("awq")]
    [TestCase("hqq")]
    [TestCase("mxfp4")]
    public void MethodsThatAreNotRead(string method) =>
        MustSay(
            "nf4",
            null,
            settings => settings["quant_method"] = method,
            $"config.json: quantization_config.quant_method is the string '{method}'",
            "expected bitsandbytes, compressed-tensors, fp8: no other quantised weights are read"
        );

    [TestCase("int-quantized", "pack-quantized", "format is the string 'pack-quantized'")]
    [TestCase("int-quantized", "nvfp4-pack-quantized", "format is the string 'nvfp4-pack-quantized'")]
    public void FormatsThatAreNotRead(string form, string format, string says) =>
        MustSay(form, null, settings => settings["format"] = format, says);

    [Test]
    public void AsymmetricCodes() =>
        MustSay(
            "int-quantized",
            null,
            settings => settings["config_groups"]!["group_0"]!["weights"]!["symmetric"] = false,
            "config_groups.group_0.weights.symmetric is false, expected true: codes with a zero point are not read"
        );

    [Test]
    public void TransposedWeights()
    {
        File.WriteAllText(
            folder.File("config.json"),
            """
            {"model_type":"gpt2","vocab_size":13,"n_embd":16,"n_layer":1,"n_head":2,"n_positions":8,
             "quantization_config":{"quant_method":"bitsandbytes","load_in_4bit":true}}
            """
        );
        const string Name = "transformer.h.0.attn.c_attn.weight";
        List<TensorToWrite> tensors = TinyModel.Tensors(ModelConfig.Load(folder.Path));
        tensors.RemoveAll(tensor => tensor.Name == Name);
        tensors.AddRange(BitsandbytesCases.Nf4(Name, 48, 16, Enumerable.Repeat(1f, 768).ToArray()).Tensors);
        SafetensorsWriter.Write(folder.File("model.safetensors"), tensors);
        Assert.That(
            () => ModelFolder.Open(folder.Path),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains(Name)
                .And.Message.Contains("rows and columns exchanged")
        );
    }

    // Values are checked as they are read, as those of plain weights are.
    [TestCase("nf4", Query + ".absmax", "absmax' holds NaN at [0], expected finite numbers")]
    [TestCase("fp8 tiles", Module + ".weight_scale_inv", "weight_scale_inv' holds NaN at [0, 0]")]
    [TestCase("llm.int8", Module + ".SCB", "SCB' holds NaN at [0]")]
    public void ScalesThatAreNoNumbers(string form, string name, string says) =>
        ReadingMustSay(
            form,
            tensors =>
            {
                TensorToWrite old = tensors.Find(tensor => tensor.Name == name)!;
                byte[] bytes = new byte[SafetensorsWriter.Bytes(old)];
                BitConverter.TryWriteBytes(bytes, float.NaN);
                Replace(tensors, Encoded.Bytes(name, StoredType.F32, [.. old.Shape], bytes));
            },
            says
        );

    [Test]
    public void APowerOfTwoThatIsNoNumber() =>
        ReadingMustSay(
            "mxfp4",
            tensors =>
            {
                byte[] scales = Ones(800);
                scales[7] = 255;
                Replace(tensors, Encoded.Bytes(Module + ".weight_scale", StoredType.U8, [160, 5], scales));
            },
            $"tensor '{Module}.weight_scale' holds NaN at [1, 2], expected finite scales"
        );

    [TestCase(127)]
    [TestCase(255)]
    public void CodesThatAreNoNumbers(int code) =>
        ReadingMustSay(
            "fp8 tiles",
            tensors =>
            {
                byte[] codes = Ones(25600);
                codes[161] = (byte)code;
                Replace(tensors, Encoded.Bytes(Query, StoredType.F8E4M3, [160, 160], codes));
            },
            $"tensor '{Query}' holds code {code}, which is no number, at [1, 1], expected finite numbers"
        );

    private void MustSay(string form, Action<List<TensorToWrite>> change, params string[] says) =>
        MustSay(form, change, null, says);

    private void MustSay(
        string form,
        Action<List<TensorToWrite>>? change,
        Action<JsonObject>? changeSettings,
        params string[] says
    )
    {
        QuantizedFolders.Write(
            folder.Path,
            form,
            change,
            config => changeSettings?.Invoke(config["quantization_config"]!.AsObject())
        );
        InputException error = Assert.Catch<InputException>(() => ModelFolder.Open(folder.Path).Dispose())!;
        Assert.That(error.Message, Does.StartWith(folder.Path).And.Not.Contains("\n"));
        foreach (string text in says)
            Assert.That(error.Message, Does.Contain(text));
    }

    private void ReadingMustSay(string form, Action<List<TensorToWrite>> change, string says)
    {
        QuantizedFolders.Write(folder.Path, form, change);
        using var model = ModelFolder.Open(folder.Path);
        Assert.That(
            () => model[Query].ToFloats(),
            Throws.TypeOf<InputException>().With.Message.StartsWith(folder.Path).And.Message.Contains(says)
        );
    }

    private static byte[] Ones(int count) => [.. Enumerable.Repeat((byte)1, count)];

    private static void Replace(List<TensorToWrite> tensors, TensorToWrite tensor) =>
        tensors[tensors.FindIndex(each => each.Name == tensor.Name)] = tensor;

    private static void Remove(List<TensorToWrite> tensors, string name) =>
        Assert.That(tensors.RemoveAll(tensor => tensor.Name == name), Is.EqualTo(1));

    // The state with one entry replaced or added.
    private static void ReplaceState(List<TensorToWrite> tensors, string entry)
    {
        JsonObject state = JsonNode
            .Parse("""{"quant_type":"nf4","blocksize":64,"dtype":"bfloat16","shape":[160,160]}""")!
            .AsObject();
        foreach ((string key, JsonNode? value) in JsonNode.Parse($"{{{entry}}}")!.AsObject())
            state[key] = value!.DeepClone();
        byte[] json = Encoding.UTF8.GetBytes(state.ToJsonString());
        Replace(tensors, Encoded.Bytes(State, StoredType.U8, [json.Length], json));
    }
}
