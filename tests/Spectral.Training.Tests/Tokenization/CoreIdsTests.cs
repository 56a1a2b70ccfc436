using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

/// <summary>
/// Ids of the Rust core for expressions and steps of all kinds, written to core-ids.json by core-ids.mjs. The model
/// shows where every piece begins.
/// </summary>
public sealed class CoreIdsTests : FolderTest
{
    private static readonly Lazy<Dictionary<string, JsonObject>> Cases = new(() =>
        JsonNode
            .Parse(typeof(CoreIdsTests).Assembly.GetManifestResourceStream("core-ids.json")!)!
            .AsArray()
            .ToDictionary(entry => entry!["name"]!.GetValue<string>(), entry => entry!.AsObject())
    );

    private static IEnumerable<string> Names => Cases.Value.Keys;

    [TestCaseSource(nameof(Names))]
    public void IdsAreThoseOfTheRustCore(string name)
    {
        JsonObject entry = Cases.Value[name];
        JsonObject json = entry["parts"]!.DeepClone().AsObject();
        JsonObject vocab = [];
        for (int value = 0; value < 256; value++)
        {
            vocab[TokenizerFiles.Character(value)] = value;
            vocab["##" + TokenizerFiles.Character(value)] = 256 + value;
        }
        json["model"] ??= new JsonObject
        {
            ["type"] = "BPE",
            ["continuing_subword_prefix"] = "##",
            ["vocab"] = vocab,
            ["merges"] = new JsonArray(),
        };
        BpeTokenizer tokenizer = TokenizerFiles.Load(folder, json);
        string[] texts = entry["texts"].Deserialize<string[]>()!;
        int[][] ids = entry["ids"].Deserialize<int[][]>()!;
        string[]? decoded = entry["decoded"].Deserialize<string[]>();
        for (int i = 0; i < texts.Length; i++)
        {
            Assert.That(tokenizer.Encode(texts[i]), Is.EqualTo(ids[i]), texts[i]);
            if (decoded is not null)
                Assert.That(tokenizer.Decode(ids[i]), Is.EqualTo(decoded[i]), texts[i]);
        }
    }
}
