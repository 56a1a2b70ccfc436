using System.Text;
using System.Text.Json.Nodes;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests;

/// <summary>
/// Tests that damaged or false model, adapter and data files are refused with a clear message before anything is
/// written.
/// </summary>
public sealed class BadFileTests : WorkFolder
{
    private string Weights => Path.Combine(Model, "model.safetensors");

    private string Config => Path.Combine(Model, "config.json");

    private string Tokenizer => Path.Combine(Model, "tokenizer.json");

    [TestCase("truncated")]
    [TestCase("cut inside the header")]
    [TestCase("empty")]
    [TestCase("seven bytes")]
    [TestCase("oversized header")]
    [TestCase("not JSON")]
    [TestCase("array")]
    public void BrokenWeightsAreRefused(string how)
    {
        byte[] whole = File.ReadAllBytes(Weights);
        switch (how)
        {
            case "truncated":
                File.WriteAllBytes(Weights, whole[..^100]);
                break;
            case "cut inside the header":
                File.WriteAllBytes(Weights, whole[..50]);
                break;
            case "empty":
                File.WriteAllBytes(Weights, []);
                break;
            case "seven bytes":
                File.WriteAllBytes(Weights, whole[..7]);
                break;
            case "oversized header":
                File.WriteAllBytes(Weights, [.. BitConverter.GetBytes(ulong.MaxValue / 2), .. whole[8..]]);
                break;
            case "not JSON":
                TinyModel.WriteRaw(Weights, "{\"a\": nonsense", 16);
                break;
            case "array":
                TinyModel.WriteRaw(Weights, "[1, 2]", 16);
                break;
        }
        Refused(Finetune(), Weights);
    }

    [TestCase(
        "overlap",
        """{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":"""
            + """[4],"data_offsets":[8,24]}}""",
        24
    )]
    [TestCase(
        "hole",
        """{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":"""
            + """[4],"data_offsets":[32,48]}}""",
        48
    )]
    [TestCase("negative size", """{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}""", 16)]
    [TestCase(
        "overflowing size",
        """{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,16]}}""",
        16
    )]
    [TestCase("lying size", """{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}""", 16)]
    [TestCase("unknown type", """{"a":{"dtype":"F33","shape":[4],"data_offsets":[0,16]}}""", 16)]
    [TestCase("shape of words", """{"a":{"dtype":"F32","shape":"big","data_offsets":[0,16]}}""", 16)]
    [TestCase("trailing bytes", """{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", 20)]
    public void LyingHeadersAreRefused(string what, string header, int dataBytes)
    {
        TinyModel.WriteRaw(Weights, header, dataBytes);
        Refused(Finetune(), Weights);
        Refused(
            ["svd", "--file", Weights, "--rank", "1", "--out", At(what + ".safetensors"), "--device", "cpu"],
            Weights
        );
    }

    [Test]
    public void MissingTensorIsNamed()
    {
        TinyModel.WriteWeights(Weights, 1, name => !name.EndsWith("1.mlp.up_proj.weight", StringComparison.Ordinal));
        Refused(Finetune(), "model.layers.1.mlp.up_proj.weight", "48");
    }

    [Test]
    public void MissingWeightsAreRefused()
    {
        File.Delete(Weights);
        Refused(Finetune(), Model, "model.safetensors");
    }

    [TestCase("hidden_size", "33")]
    [TestCase("hidden_size", "0")]
    [TestCase("hidden_size", "-32")]
    [TestCase("hidden_size", "2000000000")]
    [TestCase("hidden_size", "\"32\"")]
    [TestCase("hidden_size", "3.5")]
    [TestCase("hidden_size", "null")]
    [TestCase("num_attention_heads", "5")]
    [TestCase("num_key_value_heads", "3")]
    [TestCase("num_hidden_layers", "100000000")]
    [TestCase("vocab_size", "99999999999999999999")]
    [TestCase("vocab_size", "[260]")]
    [TestCase("intermediate_size", "-1")]
    [TestCase("model_type", "\"gpt_neox\"")]
    [TestCase("model_type", "7")]
    [TestCase("rms_norm_eps", "\"small\"")]
    [TestCase("rope_theta", "-1")]
    [TestCase("hidden_act", "\"relu\"")]
    [TestCase("eos_token_id", "99999")]
    [TestCase("eos_token_id", "\"end\"")]
    [TestCase("rope_scaling", "{\"rope_type\":\"strange\",\"factor\":2.0}")]
    public void ImpossibleConfigsAreRefused(string key, string value)
    {
        TinyModel.Set(Config, key, JsonNode.Parse(value));
        Refused(Finetune(), "config.json");
    }

    [Test]
    public void ConfigTooLargeForTheMachineIsRefused()
    {
        TinyModel.Set(Config, "vocab_size", 16_000_000);
        TinyModel.Set(Config, "hidden_size", 65536);
        TinyModel.Set(Config, "head_dim", 64);
        File.Delete(Weights);
        Refused(
            ["pretrain", "--model", Model, "--data", Data, "--out", Out, "--steps", "1", "--device", "cpu"],
            "config.json",
            "parameters"
        );
    }

    [TestCase("")]
    [TestCase("not json")]
    [TestCase("[]")]
    [TestCase("{")]
    public void ConfigsThatAreNoObjectAreRefused(string text)
    {
        File.WriteAllText(Config, text);
        Refused(Finetune(), "config.json");
    }

    [Test]
    public void MissingConfigIsRefused()
    {
        File.Delete(Config);
        Refused(Finetune(), "config.json");
    }

    [Test]
    public void MissingModelFolderIsRefused() =>
        Refused(["finetune", "--model", At("nowhere"), "--data", Data, "--out", Out, "--device", "cpu"], At("nowhere"));

    [Test]
    public void MissingTokenizerIsRefused()
    {
        File.Delete(Tokenizer);
        Refused(Finetune(), "tokenizer.json");
        Refused(["tokenize", "--model", Model, "--text", "hi"], "tokenizer.json");
    }

    [TestCase("Unigram")]
    [TestCase("WordLevel")]
    public void TokenizersOfAnotherKindAreRefused(string kind)
    {
        JsonObject root = TinyModel.Tokenizer();
        root["model"]!["type"] = kind;
        File.WriteAllText(Tokenizer, root.ToJsonString());
        Refused(Finetune(), "tokenizer.json", kind, "BPE");
    }

    [Test]
    public void TokenizerThatIsNotJsonIsRefused()
    {
        File.WriteAllText(Tokenizer, "sentencepiece");
        Refused(Finetune(), "tokenizer.json");
    }

    [TestCase("", "records")]
    [TestCase("\n\n", "records")]
    [TestCase("{\"text\":\"fine\"}\nnot json\n", "2")]
    [TestCase("{\"text\":\"fine\"}\n\n{\"text\":\"cut", "3")]
    [TestCase("{\"text\":\"fine\"}\n[1]\n", "2")]
    [TestCase("{\"text\":\"fine\"}\n{\"prompt\":\"no completion\"}\n", "2")]
    [TestCase("{\"question\":\"a\"}\n", "1")]
    [TestCase("{\"text\":null}\n", "1")]
    [TestCase("{\"prompt\":\"a\",\"completion\":null}\n", "1")]
    [TestCase("{\"text\":7}\n", "1")]
    [TestCase("null\n", "1")]
    public void BadDataNamesFileAndLine(string text, string place)
    {
        File.WriteAllText(Data, text);
        Refused(Finetune(), Data, place);
        Refused(["eval", "--model", Model, "--data", Data, "--device", "cpu"], Data, place);
    }

    [Test]
    public void InvalidUtf8NamesFileAndLine()
    {
        File.WriteAllBytes(
            Data,
            [
                .. Encoding.UTF8.GetBytes("{\"text\":\"fine\"}\n{\"text\":\""),
                0xC3,
                0x28,
                .. Encoding.UTF8.GetBytes("\"}\n"),
            ]
        );
        Refused(Finetune(), Data, "2", "UTF-8");
    }

    [Test]
    public void MissingDataIsRefused()
    {
        File.Delete(Data);
        Refused(Finetune(), Data);
    }

    [Test]
    public void BadHeldOutDataIsRefusedBeforeTraining()
    {
        File.WriteAllText(At("eval.jsonl"), "{\"text\":3}\n");
        Refused(Finetune("--eval", At("eval.jsonl")), At("eval.jsonl"), "1");
    }

    [Test]
    public void AdapterOfAnotherModelIsRefused()
    {
        CommandLine.Run(Finetune()).Succeeded();
        TinyModel.Set(Config, "intermediate_size", 64);
        var shapes = TinyModel
            .Tensors()
            .ToDictionary(
                tensor => tensor.Name,
                tensor => tensor.Shape.Select(size => size == 48 ? 64 : size).ToArray()
            );
        SafetensorsWriter.Write(
            Weights,
            [
                .. shapes.Select(tensor =>
                    TensorToWrite.Floats(
                        tensor.Key,
                        StoredType.F32,
                        tensor.Value,
                        () => new float[tensor.Value.Aggregate(1L, (product, size) => product * size)]
                    )
                ),
            ]
        );
        Refused(["eval", "--model", Model, "--adapter", Out, "--data", Data, "--device", "cpu"], "mlp");
        Refused(["merge", "--model", Model, "--adapter", Out, "--out", At("merged"), "--device", "cpu"], "mlp");
        Refused(["generate", "--model", Model, "--adapter", Out, "--prompt", "x", "--device", "cpu"], "mlp");
    }

    [TestCase("adapter_config.json")]
    [TestCase("adapter_model.safetensors")]
    public void BrokenAdaptersAreRefused(string broken)
    {
        CommandLine.Run(Finetune()).Succeeded();
        string file = Path.Combine(Out, broken);
        File.WriteAllText(file, "{}");
        Refused(["eval", "--model", Model, "--adapter", Out, "--data", Data, "--device", "cpu"], broken);
        Refused(["export", "--adapter", Out, "--format", "peft-lora", "--out", At("exported")], broken);
        File.Delete(file);
        Refused(["export", "--adapter", Out, "--format", "peft-lora", "--out", At("exported")], broken);
    }
}
