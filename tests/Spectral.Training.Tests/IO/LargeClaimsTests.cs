using System.Text.Json.Nodes;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.IO;

/// <summary>
/// Files that would take hours or all memory if the time to read them grew with more than their size.
/// </summary>
public sealed class LargeClaimsTests : FolderTest
{
    private const int Many = 200_000;

    /// <summary>Linear time for these files is a second at most; quadratic would be hours.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>
    /// What they may take beside dead objects: their own bytes, as text and as parsed, some 60 for each.
    /// </summary>
    private const long Memory = 1L << 30;

    private static void Soon(Action read, string? refused = null)
    {
        Exception? error = null;
        long allocated = 0;
        Thread worker = new(() =>
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                read();
            }
            catch (Exception e)
            {
                error = e;
            }
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        })
        {
            IsBackground = true,
        };
        worker.Start();
        Assert.That(worker.Join(Patience), "still reading");
        Assert.That(error, refused is null ? Is.Null : Is.InstanceOf<InputException>().With.Message.Contains(refused));
        Assert.That(allocated, Is.LessThan(Memory));
    }

    private static string Entries(Func<int, string> entry, int count = Many) =>
        string.Join(',', Enumerable.Range(0, count).Select(entry));

    private void WriteAdapter(string key, string value, params IEnumerable<TensorToWrite> tensors)
    {
        JsonObject config = AdapterFiles.PeftConfig();
        config.Remove(key);
        AdapterFiles.Write(folder, config, [.. AdapterFiles.LowRank(AdapterFiles.Module, 2), .. tensors]);
        string json = config.ToJsonString();
        folder.Write("adapter_config.json", $"{json[..^1]},\"{key}\":{value}}}");
    }

    [Test]
    public void TablesOfAnAdapter()
    {
        WriteAdapter("base_tensor_sha256", $"{{{Entries(i => $"\"{i}\":\"\"")}}}");
        Soon(() => AdapterFolder.Open(folder.Path).Dispose());
        WriteAdapter("rank_pattern", $"{{{Entries(i => $"\"{i}\":1")}}}");
        Soon(() => AdapterFolder.Open(folder.Path).Dispose(), "at most 4096 entries");
        WriteAdapter("alpha_pattern", $"{{{Entries(i => $"\"(?=.*){i}\":1", 4000)}}}");
        Soon(() => AdapterFolder.Open(folder.Path).Dispose(), "without look-around");
    }

    [Test]
    public void TargetsOfAnAdapter()
    {
        ModelConfig large = TinyModel.WriteConfig(folder) with { Layers = 1024 };
        WriteAdapter("target_modules", $"[{Entries(i => $"\"q{i}\"")},\"q_proj\"]");
        Soon(() => new AdapterReader(folder.Path, large).Dispose());
        // Each module takes some milliseconds, far below the limit of one: all of them, several times, take minutes.
        WriteAdapter("target_modules", "\"(?!b)(.*)(.*)(.*)(.*)(?<=zz)\"");
        Soon(() => new AdapterReader(folder.Path, large).Dispose(), "takes more than");
        WriteAdapter("target_modules", "\"(.*)*(.*)*(.*)*!\"");
        Soon(() => new AdapterReader(folder.Path, large).Dispose(), "matches no layer");
    }

    [Test]
    public void ShapesOfAnAdapter()
    {
        TensorToWrite empty = new(
            AdapterFolder.KeyOf(AdapterFiles.Other, "lora_A.weight"),
            StoredType.F32,
            [.. Enumerable.Range(0, Many).Select(i => (long)i)],
            _ => { }
        );
        WriteAdapter("target_modules", "[\"down_proj\",\"q_proj\"]", empty);
        Soon(() => new AdapterReader(folder.Path).Dispose(), "are not those of any layer");
        TensorToWrite named = new(
            $"base_model.model.{string.Concat(Enumerable.Repeat(".lora_A.x", Many))}.weight",
            StoredType.F32,
            [0],
            _ => { }
        );
        WriteAdapter("target_modules", "[\"q_proj\"]", named);
        Soon(() => new AdapterReader(folder.Path).Dispose(), "expected at most 1024");
    }

    [Test]
    public void AFileThatIsMostlyHole()
    {
        using (FileStream file = File.Create(folder.File("t.safetensors")))
        {
            file.Write([.. BitConverter.GetBytes(100_000_000L), .. "{}"u8]);
            file.SetLength(1L << 40);
        }
        Soon(() => SafetensorsFile.Open(folder.File("t.safetensors")), "header is not one JSON object");
        using (FileStream file = File.Create(folder.File("config.json")))
            file.SetLength(1L << 40);
        Soon(() => ModelConfig.Load(folder.Path), "expected at most");
    }

    [Test]
    public void StepsOfATokenizer()
    {
        string step = """{"type":"ByteLevel","add_prefix_space":true,"use_regex":false}""";
        JsonObject json = TokenizerFiles.ByteLevel(null, []);
        json["pre_tokenizer"] = JsonNode.Parse(
            $$"""{"type":"Sequence","pretokenizers":[{{Entries(_ => step, 1000)}}]}"""
        );
        Soon(() => TokenizerFiles.Load(folder, json), "at most 64 steps");
        json["pre_tokenizer"] = JsonNode.Parse(
            $$"""{"type":"Sequence","pretokenizers":[{{Entries(_ => step, 60)}}]}"""
        );
        BpeTokenizer doubling = TokenizerFiles.Load(folder, json);
        Soon(() => doubling.Encode("é é"), "64 times as much");
        json["pre_tokenizer"] = JsonNode.Parse(
            $$"""{"type":"Sequence","pretokenizers":"""
                + $$"""[{{Entries(_ => step, 50)}},{"type":"Split","pattern":"""
                + $$"""{"Regex":"(?m).*"},"behavior":"Removed"}]}"""
        );
        BpeTokenizer inVain = TokenizerFiles.Load(folder, json);
        Soon(() => inVain.Encode("é é"), "64 times as much");
        json = TokenizerFiles.ByteLevel(null, []);
        string replacement = """{"type":"Replace","pattern":{"String":"a"},"content":"aa"}""";
        json["normalizer"] = JsonNode.Parse(
            $$"""{"type":"Sequence","normalizers":[{{Entries(_ => replacement, 30)}}]}"""
        );
        BpeTokenizer repeating = TokenizerFiles.Load(folder, json);
        Soon(() => repeating.Encode("a"), "64 times as much");
    }

    [Test]
    public void TokensAndPatternsOfATokenizer()
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, [], TokenizerFiles.Added(new string('x', 1025)));
        Soon(() => TokenizerFiles.Load(folder, json), "at most 1024 characters");
        json = TokenizerFiles.ByteLevel(
            null,
            [],
            [.. Enumerable.Range(0, 1000).Select(i => TokenizerFiles.Added(new string('x', 1000) + i))]
        );
        Soon(() => TokenizerFiles.Load(folder, json).Encode(new string('x', Many)));
        json = TokenizerFiles.ByteLevel(null, []);
        json["model"]!["continuing_subword_prefix"] = new string('x', Many);
        Soon(() => TokenizerFiles.Load(folder, json), "at most 64 characters");
        // A tenth of a second for each of thousands of matches.
        json = TokenizerFiles.ByteLevel($"(?:(a|aa)+$b|a{{32}})", []);
        BpeTokenizer slow = TokenizerFiles.Load(folder, json);
        Soon(() => slow.Encode(new string('a', 32 * 4000)), "takes more than");
    }

    [Test]
    public void LinesOfData()
    {
        string deep = new('[', 1 << 20);
        folder.Write("d.jsonl", deep);
        Soon(() => RecordReader.Load(folder.File("d.jsonl")), "expected ] at its end");
        folder.Write("d.jsonl", $"{{\"text\":{deep}");
        Soon(() => RecordReader.Load(folder.File("d.jsonl")), "nested more than 200 levels deep");
        folder.Write("d.jsonl", "{" + Entries(i => $"\"{i}\":0") + ",\"text\":\"t\"}");
        Soon(() => RecordReader.Load(folder.File("d.jsonl")));
    }
}
