using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>
/// <c>merge --format gguf</c> and <c>export --format gguf-lora</c>: what they print, write and refuse. The files are
/// read by llama.cpp in Spectral.LlamaCpp.Tests.
/// </summary>
public sealed class GgufCommandTests : WorkFolder
{
    private static readonly byte[] Magic = [.. "GGUF"u8, 3, 0, 0, 0];

    private string Result => At("result.gguf");

    [Test]
    public void AdapterMergeBaseAndLoraBecomeFiles()
    {
        CommandLine.Run(Finetune("--adapter", "speclora", "--rank", "2", "--steps", "2")).Succeeded();
        JsonElement merged = Run("merge", "--model", Model, "--adapter", Out, "--format", "gguf", "--dtype", "q8_0");
        Assert.That(merged.GetProperty("out").GetString(), Is.EqualTo(Result));
        Assert.That(merged.GetProperty("tensors").GetInt32(), Is.EqualTo(TinyModel.Tensors().Count()));
        long blocks = new FileInfo(Result).Length;
        string[] input = ["--method", "linear", "--input", Out];
        JsonElement linear = Run(["merge", "--model", Model, .. input, "--format", "gguf"]);
        Assert.That(linear.GetProperty("method").GetString(), Is.EqualTo("linear"));
        Assert.That(linear.GetProperty("tensors").GetInt32(), Is.EqualTo(TinyModel.Tensors().Count()));
        Assert.That(new FileInfo(Result).Length, Is.GreaterThan(2 * blocks), "F32, as the base");
        Run("merge", "--model", Model, "--format", "gguf", "--dtype", "bf16");
        JsonElement lora = Run("export", "--model", Model, "--adapter", Out, "--format", "gguf-lora");
        Assert.That(lora.GetProperty("tensors").GetInt32(), Is.EqualTo(2 * 7 * TinyModel.Layers));
        Assert.That(lora.GetProperty("format").GetString(), Is.EqualTo("gguf-lora"));
        Assert.That(Entries(), Is.EqualTo(new[] { "data.jsonl", "model", "out", "result.gguf" }), "nothing beside it");
    }

    [Test]
    public void BadRequestsAreRefused()
    {
        Directory.CreateDirectory(Out);
        RefusedWith("--adapter DIR, --method NAME or --requantize FORMAT", "merge", "--model", Model);
        RefusedWith("expected --format gguf with it", "merge", "--model", Model, "--adapter", Out, "--dtype", "q8_0");
        string[] text = ["merge", "--model", Model, "--adapter", Out, "--format", "text"];
        RefusedWith("--format: has no effect without --method", text);
        string[] linear = ["merge", "--model", Model, "--method", "linear", "--input", Model, "--format", "gguf"];
        RefusedWith("expected a folder for a LoRA", [.. linear, "--as-adapter", "--rank", "2"]);
        RefusedWith("expected a folder where the result is measured", [.. linear, "--eval", $"a={Data}"]);
        File.WriteAllText(Result, "mine");
        RefusedWith("exists; expected an absent or empty file", "merge", "--model", Model, "--format", "gguf");
        Assert.That(File.ReadAllText(Result), Is.EqualTo("mine"));
        File.Delete(Result);
        JsonObject tokenizer = JsonNode.Parse(File.ReadAllText(Path.Combine(Model, "tokenizer.json")))!.AsObject();
        tokenizer["normalizer"] = new JsonObject { ["type"] = "Lowercase" };
        File.WriteAllText(Path.Combine(Model, "tokenizer.json"), tokenizer.ToJsonString());
        RefusedWith("none for a GGUF file, or NFC", "merge", "--model", Model, "--format", "gguf");
    }

    [Test]
    public void ALoraNeedsItsModel()
    {
        CommandLine.Run(Finetune("--adapter", "lora", "--rank", "2", "--steps", "1")).Succeeded();
        RefusedWith("expected --model, the model the adapter", "export", "--adapter", Out, "--format", "gguf-lora");
    }

    private JsonElement Run(params string[] arguments)
    {
        JsonElement made = CommandLine
            .Run([.. arguments, "--out", Result, "--overwrite", "--device", "cpu", "--json"])
            .Succeeded()
            .Json;
        using FileStream file = File.OpenRead(Result);
        byte[] start = new byte[Magic.Length];
        file.ReadExactly(start);
        Assert.That(start, Is.EqualTo(Magic));
        return made;
    }

    private void RefusedWith(string what, params string[] arguments) => Refused([.. arguments, "--out", Result], what);
}
