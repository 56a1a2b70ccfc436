using System.Text.Json.Nodes;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Tokenizers;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Gguf;

/// <summary>
/// Which tokenizers have a form in GGUF. That llama.cpp encodes texts with the same ids is tested in
/// Spectral.LlamaCpp.Tests.
/// </summary>
public sealed class TokenizerKeysTests : FolderTest
{
    private readonly List<string> _warnings = [];

    [TestCase(TokenizerFiles.Llama3, false, "dbrx")]
    [TestCase(TokenizerFiles.Llama3, true, "llama-bpe")]
    [TestCase(TokenizerFiles.Qwen2, false, "qwen2")]
    [TestCase(null, false, "gpt-2")]
    public void TheSplitIsNamed(string? pattern, bool ignoresMerges, string name)
    {
        JsonObject json = TokenizerFiles.ByteLevel(pattern, [("a", "b")]);
        json["model"]!["ignore_merges"] = ignoresMerges;
        GgufFile file = Write(json);
        Assert.That(file.Metadata["tokenizer.ggml.pre"], Is.EqualTo(name));
        Assert.That(file.Metadata["tokenizer.ggml.merges"], Is.EqualTo((object[])["a b"]));
    }

    [Test]
    public void OtherSplitsAreRefused()
    {
        Refused(TokenizerFiles.ByteLevel(@"\w+|\W+", []), "pre_tokenizer is", "that llama.cpp has built in");
        JsonObject ignoring = TokenizerFiles.ByteLevel(TokenizerFiles.Qwen2, []);
        ignoring["model"]!["ignore_merges"] = true;
        Refused(ignoring, "with ignore_merges as there");
        JsonObject space = TokenizerFiles.ByteLevel(null, []);
        space["pre_tokenizer"]!["add_prefix_space"] = true;
        Refused(space, "add_prefix_space", "expected false for a GGUF file");
        JsonObject lower = TokenizerFiles.ByteLevel(null, []);
        lower["normalizer"] = new JsonObject { ["type"] = "Lowercase" };
        Refused(lower, "normalizer", "none for a GGUF file, or NFC");
    }

    [Test]
    public void TheFormNfcIsAWarning()
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, []);
        json["normalizer"] = new JsonObject { ["type"] = "NFC" };
        Write(json);
        Assert.That(_warnings, Has.One.Contains("does not bring texts to the form NFC"));
    }

    /// <summary>Scores fall in the order of the merges; tokens that no merge makes are below all.</summary>
    [Test]
    public void MergesBecomeScores()
    {
        GgufFile file = Write(TokenizerFiles.ByteFallback("abc", ("a", "b"), ("▁", "ab"), ("b", "c")));
        float[] scores = [.. ((object[])file.Metadata["tokenizer.ggml.scores"]).Cast<float>()];
        Assert.That(file.Metadata["tokenizer.ggml.model"], Is.EqualTo("llama"));
        Assert.That(scores[263..266], Is.EqualTo([-1f, -2f, -3f]), "ab, ▁ab, bc");
        Assert.That(scores[..263], Has.All.LessThan(-1000));
        object[] kinds = (object[])file.Metadata["tokenizer.ggml.token_type"];
        Assert.That(kinds[..4], Is.EqualTo((object[])[2, 3, 3, 6]), "unknown, control, control, byte");
        Assert.That(file.Metadata["tokenizer.ggml.add_space_prefix"], Is.EqualTo(true));
        Assert.That(file.Metadata["tokenizer.ggml.add_bos_token"], Is.EqualTo(true));
        Assert.That(file.Metadata["tokenizer.ggml.bos_token_id"], Is.EqualTo(1u));
    }

    private static readonly Dictionary<string, int> Vocabulary = new()
    {
        ["a"] = 0,
        ["b"] = 1,
        ["c"] = 2,
        ["ab"] = 3,
        ["bc"] = 4,
        ["abc"] = 5,
    };

    [Test]
    public void MergesWithoutScoresAreFound()
    {
        Assert.That(Scores(("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc")), Is.EqualTo([0, 0, 0, -1, -2, -3]));
        Assert.That(Scores(("a", "b"), ("b", "c"), ("ab", "c")), Is.Null, "a and bc would be joined too");
        Assert.That(Scores(("a", "b"), ("ab", "c"), ("b", "c"), ("a", "bc")), Is.Null, "abc would need two scores");
        Assert.That(Scores(("b", "c"), ("a", "bc")), Is.Null, "a and b would be joined too");

        static float[]? Scores(params (string, string)[] merges) =>
            MergeScores
                .Of(Vocabulary, merges, 6)
                ?.Select(score => Math.Max(score, score < -1000 ? 0 : score))
                .ToArray();
    }

    [Test]
    public void SentencePieceTokenizersOfOtherKindsAreRefused()
    {
        JsonObject merges = TokenizerFiles.ByteFallback("abc", ("a", "b"), ("b", "c"), ("ab", "c"));
        Refused(merges, "model.merges", "merges as SentencePiece makes them");
        JsonObject lower = TokenizerFiles.ByteFallback("a");
        lower["normalizer"] = new JsonObject { ["type"] = "Lowercase" };
        Refused(lower, "normalizer", "write spaces as ▁");
    }

    [Test]
    public void MoreTokensThanRowsAreRefused()
    {
        JsonObject json = TokenizerFiles.ByteLevel(null, [("a", "b"), ("c", "d")]);
        folder.Write("tokenizer.json", json.ToJsonString());
        Assert.That(
            () =>
                TokenizerKeys.Add(folder.Path, TinyModels.Llama with { VocabularySize = 257 }, new GgufMetadata(), []),
            Throws.TypeOf<InputException>().With.Message.Contains("ids up to 257, expected less than 257")
        );
    }

    private GgufFile Write(JsonObject json)
    {
        folder.Write("tokenizer.json", json.ToJsonString());
        GgufMetadata metadata = new();
        TokenizerKeys.Add(folder.Path, TinyModels.Llama with { VocabularySize = 300 }, metadata, _warnings);
        GgufWriter.Write(folder.File("file.gguf"), metadata, [GgufTensor.Vector("t", [1])]);
        return new GgufFile(folder.File("file.gguf"));
    }

    private void Refused(JsonObject json, params string[] parts)
    {
        InputException error = Assert.Throws<InputException>(() => Write(json))!;
        Assert.That(error.Message, Does.StartWith(folder.File("tokenizer.json")));
        foreach (string part in parts)
            Assert.That(error.Message, Does.Contain(part));
        Assert.That(error.Message, Does.Not.Contain('\n'));
    }
}
