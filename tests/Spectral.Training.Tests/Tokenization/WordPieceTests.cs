using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

/// <summary>
/// WordPiece as BERT has it: the longest token first, unknown words as a whole, and texts in pairs. Expected ids follow
/// from the vocabulary by hand, in the way that Devlin et al.'s code describes greedy longest-match-first.
/// </summary>
public sealed class WordPieceTests : FolderTest
{
    private static readonly string[] Tokens =
    [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "un",
        "##aff",
        "##able",
        "##a",
        "##f",
        "want",
        "##ed",
        ",",
        "cafe",
        "中",
        "##文",
        "unaff",
    ];

    [TestCase("UNaffable", new[] { 15, 6 })] // unaff ##able, although un ##aff would do
    [TestCase("unaffed unable", new[] { 15, 10, 4, 6 })]
    [TestCase("wanted,un", new[] { 9, 10, 11, 4 })]
    [TestCase("Café", new[] { 12 })] // accents go where letters are made small
    [TestCase("中文", new[] { 13, 1 })] // ideographs stand alone, so that ##文 is not asked for
    [TestCase("wantx un", new[] { 1, 4 })] // the whole word is unknown
    [TestCase("aff", new[] { 1 })] // ##aff only goes on
    [TestCase(" \t\n", new int[0])]
    [TestCase("un[SEP]un", new[] { 4, 3, 4 })]
    public void TheLongestTokenComesFirst(string text, int[] expected) =>
        Assert.That(Load().Encode(text, addSpecialTokens: false), Is.EqualTo(expected));

    [Test]
    public void AWordOfTooManyCharactersIsUnknown()
    {
        BpeTokenizer tokenizer = Load();
        string most = "un" + new string('a', 98);
        Assert.That(tokenizer.Encode(most, false), Is.EqualTo(new[] { 4 }.Concat(Enumerable.Repeat(7, 98))));
        Assert.That(tokenizer.Encode(most + "a", false), Is.EqualTo(new[] { 1 }));
    }

    [Test]
    public void TextsAreBetweenSpecialTokens()
    {
        BpeTokenizer tokenizer = Load();
        Assert.Multiple(() =>
        {
            Assert.That(tokenizer.Encode("un"), Is.EqualTo(new[] { 2, 4, 3 }));
            Assert.That(tokenizer.Around.Between, Is.EqualTo(new[] { 3 }));
            Assert.That(tokenizer.Around.PairSuffix, Is.EqualTo(new[] { 3 }));
            Assert.That(tokenizer.Decode([2, 15, 6, 11, 4, 3]), Is.EqualTo("unaffable, un"));
        });
    }

    [TestCase("unk_token", "\"[NONE]\"", "model.unk_token is the string '[NONE]', expected a token of the vocabulary")]
    [TestCase("max_input_chars_per_word", "0", "model.max_input_chars_per_word is 0, expected")]
    [TestCase("vocab", "null", "model.vocab is missing, expected an object")]
    public void AMalformedModelIsRefused(string key, string value, string says)
    {
        JsonObject json = Json();
        json["model"]![key] = JsonNode.Parse(value);
        Assert.That(
            () => TokenizerFiles.Load(folder, json),
            Throws.TypeOf<InputException>().With.Message.Contains(says)
        );
    }

    private BpeTokenizer Load() => TokenizerFiles.Load(folder, Json());

    private static JsonObject Json() => TokenizerFiles.WordPiece(Tokens);
}
