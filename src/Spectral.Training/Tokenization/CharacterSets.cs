using Spectral.Training.Tokenization.Patterns;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The sets of code points that steps other than expressions ask for, of the Unicode versions the Rust core has there.
/// </summary>
internal static class CharacterSets
{
    private static readonly Lazy<CodeSet> WordSet = new(() =>
        PropertySets.Word.Union(UnicodeData.Union("Join_Control"))
    );
    private static readonly Lazy<CodeSet> PunctuationSet = new(() =>
        AsciiPunctuation().Union(UnicodeData.Union("Punctuation_8"))
    );
    private static readonly Lazy<CodeSet> ControlSet = new(() =>
        UnicodeData.Union("Cc", "Format_8", "Co").Except(CodeSet.Of('\t', '\n', '\r'))
    );

    /// <summary>Letters, marks, decimal digits, connectors and joiners.</summary>
    public static CodeSet Word => WordSet.Value;

    /// <summary>White space, in all Unicode versions alike.</summary>
    public static CodeSet Space => UnicodeData.Union("White_Space");

    /// <summary>All kinds of numbers.</summary>
    public static CodeSet Number => UnicodeData.Union("Number_17");

    /// <summary>Punctuation, and the symbols of ASCII.</summary>
    public static CodeSet Punctuation => PunctuationSet.Value;

    /// <summary>Controls, formats and private use, without the usual white space among the controls.</summary>
    public static CodeSet Control => ControlSet.Value;

    /// <summary>Marks that take no space, as accents.</summary>
    public static CodeSet NonspacingMark => UnicodeData.Union("Nonspacing_Mark_8");

    /// <summary>All marks.</summary>
    public static CodeSet Mark => UnicodeData.Union("Mark_9");

    private static CodeSet AsciiPunctuation() => CodeSet.FromSorted([('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]);
}
