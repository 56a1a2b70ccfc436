using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// Random texts of the characters that make tokenizers stumble: spaces, quotes, digits, marks, astral letters, emoji.
/// </summary>
internal static class RandomText
{
    private const string Frequent =
        "  \t\r\n\u00A0\u3000'sStTrRevmlLdD019½٣aZéß-.,!▁<>|/\"\\\u0301\u0323\u200B\u200D한字あ";

    private static readonly Gen<Rune> Character = Gen.Frequency(
        (6, Gen.Elements(Frequent.EnumerateRunes().ToArray())),
        (2, Gen.Elements("𝒳𝒴𐐀𐐨😀👩🏽𝟎𝟏🄀𑂚𠀀".EnumerateRunes().ToArray())),
        (2, Gen.Choose(0, 0x10FFFF - 0x800).Select(code => new Rune(code < 0xD800 ? code : code + 0x800)))
    );

    public static Arbitrary<string> Arbitrary { get; } =
        Arb.From(
            Character.ArrayOf().Select(runes => string.Concat(runes.Select(rune => rune.ToString()))),
            text => text.Length == 0 ? [] : Shorter(text)
        );

    private static IEnumerable<string> Shorter(string text)
    {
        Rune[] runes = [.. text.EnumerateRunes()];
        for (int skip = 0; skip < runes.Length; skip++)
            yield return string.Concat(runes.Where((_, index) => index != skip).Select(rune => rune.ToString()));
    }
}
