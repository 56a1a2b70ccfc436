using System.Globalization;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

public sealed class PreTokenizerTests
{
    private static string[] Pieces(string json, string text, bool atStart = true)
    {
        using var document = JsonDocument.Parse(json);
        List<string> pieces = [];
        PieceStep step = PreTokenizer.Read(
            new JsonFields(document.RootElement, "t"),
            "t",
            (piece, _, _) => pieces.Add(piece.ToString()),
            (piece, _, _) => pieces.Add(ByteAlphabet.Encode(piece))
        );
        step(text, atStart, new EncodingRun(new GrowthBudget(text.Length), new BpeMerger(new PairTable()), []));
        return [.. pieces];
    }

    private static string Split(string pattern, string behavior = "Isolated", bool invert = false) =>
        JsonSerializer.Serialize(
            new
            {
                type = "Split",
                pattern = new { Regex = pattern },
                behavior,
                invert,
            }
        );

    [TestCase(TokenizerFiles.Gpt2, "Hello world's  12345 a--b\n\n x", "Hello| world|'s| | 12345| a|--|b|\n\n| x")]
    [TestCase(TokenizerFiles.Gpt2, "I'LL we'll ", "I|'|LL| we|'ll| ")]
    [TestCase(TokenizerFiles.Llama3, "Hello world's  12345 a--b\n\n x", "Hello| world|'s| | |123|45| a|--|b|\n\n| x")]
    [TestCase(TokenizerFiles.Llama3, "I'LL we'll ", "I|'LL| we|'ll| ")]
    [TestCase(TokenizerFiles.Llama3, "(a)\r\n\tb  \n c", "(a|)\r\n|\tb|  \n| c")]
    [TestCase(TokenizerFiles.Qwen2, "x 2024!", "x| |2|0|2|4|!")]
    [TestCase(
        TokenizerFiles.Gpt2,
        "\U0001D4B3\U0001D4B4 \U00010400a \U0001F600\U0001F601 \U0001D7CE\U0001D7CF",
        "\U0001D4B3\U0001D4B4| \U00010400a| \U0001F600\U0001F601| \U0001D7CE\U0001D7CF",
        TestName = "letters, symbols and digits beyond U+FFFF"
    )]
    public void UsualPatterns(string pattern, string text, string expected) =>
        Assert.That(Pieces(Split(pattern), text), Is.EqualTo(expected.Split('|')));

    [TestCase("Isolated", false, "a|-|-|b|-|c")]
    [TestCase("Removed", false, "a|b|c")]
    [TestCase("Contiguous", false, "a|--|b|-|c")]
    [TestCase("MergedWithPrevious", false, "a-|-|b-|c")]
    [TestCase("MergedWithNext", false, "a|-|-b|-c")]
    [TestCase("Removed", true, "-|-|-")]
    [TestCase("MergedWithNext", true, "a-|-|b-|c")]
    public void SplitBehaviors(string behavior, bool invert, string expected) =>
        Assert.That(Pieces(Split("-", behavior, invert), "a--b-c"), Is.EqualTo(expected.Split('|')));

    [TestCase("""{"type":"Metaspace","replacement":"▁","add_prefix_space":true}""", "a  b", true, "▁a|▁|▁b")]
    [TestCase(
        """{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":false}""",
        "a b",
        false,
        "▁a▁b"
    )]
    [TestCase("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}""", "a b", true, "▁a|▁b")]
    [TestCase("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}""", "a b", false, "a|▁b")]
    [TestCase("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true}""", "a b", true, "a|▁b")]
    [TestCase("""{"type":"Metaspace","replacement":"▁","add_prefix_space":true}""", " a", true, "▁a")]
    [TestCase("""{"type":"Digits","individual_digits":true}""", "a12b", true, "a|1|2|b")]
    [TestCase("""{"type":"Digits","individual_digits":false}""", "a12b", true, "a|12|b")]
    [TestCase("""{"type":"ByteLevel","add_prefix_space":true,"use_regex":true}""", "é\nb", true, "ĠÃ©|Ċ|b")]
    [TestCase("""{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}""", "a b", true, "aĠb")]
    [TestCase(
        """{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},"""
            + """{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}]}""",
        "ab 12",
        true,
        "ab|Ġ|1|2"
    )]
    [TestCase(
        """
            {"type":"Sequence","pretokenizers":[
             {"type":"ByteLevel","add_prefix_space":false,"use_regex":false},{"type":"Digits"}]}
            """,
        "é1",
        true,
        "Ã©|1",
        TestName = "a step behind the byte alphabet sees it"
    )]
    [TestCase(
        """
            {"type":"Sequence","pretokenizers":[
             {"type":"Digits"},{"type":"Metaspace","prepend_scheme":"first","split":false}]}
            """,
        "a1",
        true,
        "▁a|1",
        TestName = "only the first piece is at the start"
    )]
    public void OtherKinds(string json, string text, bool atStart, string expected) =>
        Assert.That(Pieces(json, text, atStart), Is.EqualTo(expected.Split('|')));

    [Test]
    public void PatternsAgreeWithScannersWrittenByHand()
    {
        Config config = Config.QuickThrowOnFailure.WithMaxTest(2000);
        Check.One(
            config,
            Prop.ForAll(
                RandomText.Arbitrary,
                text => Pieces(Split(TokenizerFiles.Gpt2), text).SequenceEqual(ScanGpt2(text))
            )
        );
        Check.One(
            config,
            Prop.ForAll(
                RandomText.Arbitrary,
                text => Pieces(Split(TokenizerFiles.Llama3), text).SequenceEqual(ScanLlama3(text, 3))
            )
        );
        Check.One(
            config,
            Prop.ForAll(
                RandomText.Arbitrary,
                text => Pieces(Split(TokenizerFiles.Qwen2), text).SequenceEqual(ScanLlama3(text, 1))
            )
        );
    }

    [TestCase("""{"type":"UnicodeScripts"}""", "'UnicodeScripts', expected BertPreTokenizer")]
    [TestCase("""{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"}""", "'('")]
    [TestCase("""{"type":"FixedLength","length":0}""", "length")]
    [TestCase("""{"type":"CharDelimiterSplit","delimiter":"ab"}""", "one character")]
    [TestCase("""{"type":"Split","pattern":{"Regex":"a"},"behavior":"Sideways"}""", "'Sideways'")]
    [TestCase("""{"type":"Metaspace","replacement":"ab"}""", "one character")]
    public void OthersAreRefusedByName(string json, string says) =>
        Assert.That(() => Pieces(json, "x"), Throws.TypeOf<InputException>().With.Message.Contains(says));

    [Test]
    public void APatternOfExponentialTimeIsStopped() =>
        Assert.That(
            () => Pieces(Split("(a|aa)+$b"), new string('a', 60)),
            Throws.TypeOf<InputException>().With.Message.Contains("takes more than")
        );

    private static bool IsLetter(Rune rune) => Rune.IsLetter(rune);

    private static bool IsNumber(Rune rune) =>
        Rune.GetUnicodeCategory(rune)
            is UnicodeCategory.DecimalDigitNumber
                or UnicodeCategory.LetterNumber
                or UnicodeCategory.OtherNumber;

    private static bool IsOther(Rune rune) => !Rune.IsWhiteSpace(rune) && !IsLetter(rune) && !IsNumber(rune);

    private static bool IsNewline(Rune rune) => rune.Value is '\r' or '\n';

    private static List<string> Scan(string text, Func<Rune[], int, int> lengthAt)
    {
        Rune[] runes = [.. text.EnumerateRunes()];
        List<string> pieces = [];
        for (int at = 0; at < runes.Length; )
        {
            int length = lengthAt(runes, at);
            pieces.Add(string.Concat(runes[at..(at + length)].Select(rune => rune.ToString())));
            at += length;
        }
        return pieces;
    }

    private static int Run(Rune[] runes, int at, Func<Rune, bool> belongs) => runes.Skip(at).TakeWhile(belongs).Count();

    private static int Contraction(Rune[] runes, int at, bool ignoreCase)
    {
        string rest = string.Concat(runes.Skip(at).Take(3).Select(rune => rune.ToString()));
        return new[] { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d" }
                .FirstOrDefault(word =>
                    rest.StartsWith(word, ignoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal)
                )
                ?.Length
            ?? 0;
    }

    // Trailing white space leaves its last character to what follows it, unless nothing follows or it is alone.
    private static int Spaces(Rune[] runes, int at)
    {
        int count = Run(runes, at, Rune.IsWhiteSpace);
        return count > 1 && at + count < runes.Length ? count - 1 : count;
    }

    private static List<string> ScanGpt2(string text) =>
        Scan(
            text,
            (runes, at) =>
            {
                if (Contraction(runes, at, ignoreCase: false) is > 0 and var contraction)
                    return contraction;
                int space = runes[at].Value == ' ' ? 1 : 0;
                foreach (Func<Rune, bool> kind in new[] { IsLetter, IsNumber, (Func<Rune, bool>)IsOther })
                {
                    if (Run(runes, at + space, kind) is > 0 and var count)
                        return space + count;
                }
                return Spaces(runes, at);
            }
        );

    private static List<string> ScanLlama3(string text, int digits) =>
        Scan(
            text,
            (runes, at) =>
            {
                if (Contraction(runes, at, ignoreCase: true) is > 0 and var contraction)
                    return contraction;
                int lead = !IsNewline(runes[at]) && !IsLetter(runes[at]) && !IsNumber(runes[at]) ? 1 : 0;
                if (Run(runes, at + lead, IsLetter) is > 0 and var letters)
                    return lead + letters;
                if (Run(runes, at, IsNumber) is > 0 and var numbers)
                    return Math.Min(numbers, digits);
                int space = runes[at].Value == ' ' ? 1 : 0;
                if (Run(runes, at + space, IsOther) is > 0 and var others)
                    return space + others + Run(runes, at + space + others, IsNewline);
                int white = Run(runes, at, Rune.IsWhiteSpace);
                int lastNewline = Enumerable.Range(0, white).LastOrDefault(offset => IsNewline(runes[at + offset]), -1);
                return lastNewline >= 0 ? lastNewline + 1 : Spaces(runes, at);
            }
        );
}
