using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Tests;

/// <summary>
/// Tests that NaN and infinities in files, and results that are too large for their type, are refused by name.
/// </summary>
public sealed class NonFiniteTests : WorkFolder
{
    private static readonly string[] Cpu = ["--device", "cpu"];

    private string Weights => Path.Combine(Model, "model.safetensors");

    private string Adapter => At("adapter");

    private string[] Merge => ["merge", "--model", Model, "--adapter", Adapter, "--out", Out, .. Cpu];

    [Test]
    public void InABaseTensorTheyAreRefusedByEveryCommand()
    {
        const string Name = "model.layers.1.self_attn.v_proj.weight";
        Finetuned("lora");
        Spoil(Weights, Name, float.NaN);
        string at = $"'{Name}' holds NaN at [15, 31], expected finite numbers";
        Refused(Finetune(), Weights, at);
        Refused(Finetune("--init-adapter", Adapter), Weights, at);
        Refused(["pretrain", "--model", Model, "--data", Data, "--out", Out, "--steps", "1", .. Cpu], Weights, at);
        string[] compared = ["--data", Data, "--eval", Data, "--methods", "lora", "--steps", "1"];
        Refused(["compare", "--model", Model, "--out", Out, .. compared, .. Cpu], Weights, at);
        Refused(["eval", "--model", Model, "--data", Data, .. Cpu], Weights, at);
        Refused(["generate", "--model", Model, "--prompt", "a", .. Cpu], Weights, at);
        Refused(Merge, Weights, at);
        Refused([.. Merge, "--dtype", "bf16"], Weights, at);
        Refused(["svd", "--model", Model, "--tensor", Name, "--rank", "1", "--out", At("svd"), .. Cpu], Weights, at);
        Refused(["analyze", "--base", Model, "--tuned", Model, "--out", At("analysis.json"), .. Cpu], Weights, at);
    }

    [Test]
    public void InAnAdapterTheyAreRefusedByEveryCommand()
    {
        Finetuned("speclora");
        const string Name = "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight";
        string file = Path.Combine(Adapter, "adapter_model.safetensors");
        string at = $"'{Name}' holds -Infinity at [47, 7]";
        Spoil(file, Name, float.NegativeInfinity);
        Refused(Finetune("--init-adapter", Adapter), file, at);
        Refused(Finetune("--adapter", "o-lora", "--previous-adapter", Adapter), file, at);
        Refused(["eval", "--model", Model, "--adapter", Adapter, "--data", Data, .. Cpu], file, at);
        Refused(["generate", "--model", Model, "--adapter", Adapter, "--prompt", "a", .. Cpu], file, at);
        Refused(Merge, file, at);
        Refused(["export", "--adapter", Adapter, "--out", Out, .. Cpu], file, at);
        string[] squeezed = ["--method", "lora-squeeze", "--input", Adapter];
        Refused(["compress", .. squeezed, "--out", Out, .. Cpu], file, at);
        Refused(["analyze", "--base", Model, "--adapter", Adapter, "--out", At("analysis.json"), .. Cpu], file, at);
    }

    /// <summary>The largest F16 is 65504; the largest BF16 is above 3e38, with about three digits.</summary>
    [Test]
    public void ResultsTooLargeForTheirTypeAreRefused()
    {
        Finetuned("lora");
        Scale(Path.Combine(Adapter, "adapter_model.safetensors"), 1e6f);
        Refused([.. Merge, "--dtype", "f16"], "layers.0.mlp.down_proj.weight", "F16 holds", "--dtype f32 or bf16");
        Refused(["export", "--adapter", Adapter, "--out", Out, "--dtype", "f16", .. Cpu], "lora_", "F16 holds");
        CommandLine.Run([.. Merge, "--dtype", "bf16"]).Succeeded();
    }

    [TestCase("f32", "torch_dtype")]
    [TestCase("bf16", "dtype")]
    [TestCase("f16", null)]
    public void AMergeStoresTheTypeAskedForAndSaysSo(string type, string? key)
    {
        Finetuned("lora");
        string file = Path.Combine(Model, "config.json");
        JsonObject config = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        config.Remove("torch_dtype");
        if (key is not null)
            config[key] = "float64";
        File.WriteAllText(file, config.ToJsonString());
        CommandLine.Run([.. Merge, "--dtype", type]).Succeeded();
        using var merged = ModelFolder.Open(Out);
        foreach (string name in merged.TensorNames)
            Assert.That(merged[name].Type.HeaderName(), Is.EqualTo(type).IgnoreCase, name);
        JsonObject written = JsonNode.Parse(File.ReadAllText(Path.Combine(Out, "config.json")))!.AsObject();
        string expected = type switch
        {
            "f32" => "float32",
            "bf16" => "bfloat16",
            _ => "float16",
        };
        Assert.That((string?)written[key ?? "torch_dtype"], Is.EqualTo(expected));
        written.Remove(key ?? "torch_dtype");
        config.Remove(key ?? "");
        Assert.That(JsonNode.DeepEquals(written, config), "nothing else in the config changes");
    }

    [TestCase("auto", "F32")]
    [TestCase("bf16", "BF16")]
    public void AnExportStoresTheTypeAskedFor(string type, string stored)
    {
        Finetuned("speclora");
        CommandLine.Run("export", "--adapter", Adapter, "--out", Out, "--dtype", type, "--device", "cpu").Succeeded();
        using var exported = SafetensorsFile.Open(Path.Combine(Out, "adapter_model.safetensors"));
        Assert.That(exported.Tensors.Values.Select(tensor => tensor.Type.HeaderName()), Is.All.EqualTo(stored));
    }

    private void Finetuned(string method)
    {
        CommandLine.Run(Finetune("--adapter", method, "--lr", "1e-2")).Succeeded();
        Directory.Move(Out, Adapter);
    }

    /// <summary>Sets the last element of a tensor.</summary>
    private static void Spoil(string path, string name, float value)
    {
        byte[] bytes = File.ReadAllBytes(path);
        int header = checked((int)BitConverter.ToUInt64(bytes));
        using var json = JsonDocument.Parse(bytes.AsMemory(8, header));
        int end = json.RootElement.GetProperty(name).GetProperty("data_offsets")[1].GetInt32();
        BitConverter.TryWriteBytes(bytes.AsSpan(8 + header + end - sizeof(float)), value);
        File.WriteAllBytes(path, bytes);
    }

    private static void Scale(string path, float factor)
    {
        List<TensorToWrite> tensors = [];
        using (var file = SafetensorsFile.Open(path))
        {
            foreach (SafetensorsTensor tensor in file.Tensors.Values)
            {
                float[] values = Array.ConvertAll(tensor.ToFloats(), value => factor * value);
                tensors.Add(TensorToWrite.Floats(tensor.Name, StoredType.F32, tensor.Shape, () => values));
            }
        }

        SafetensorsWriter.Write(path, tensors, new Dictionary<string, string> { ["format"] = "pt" });
    }
}
