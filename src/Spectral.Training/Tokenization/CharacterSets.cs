using Spectral.Training.Tokenization.Patterns;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The sets of code points that steps other than expressions use, in the Unicode versions that the Rust core has there.
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

    /// <summary>The set of letters, marks, decimal digits, connectors and joiners.</summary>
    public static CodeSet Word => WordSet.Value;

    /// <summary>The set of white space, the same in all Unicode versions.</summary>
    public static CodeSet Space => UnicodeData.Union("White_Space");

    /// <summary>The set of all kinds of numbers.</summary>
    public static CodeSet Number => UnicodeData.Union("Number_17");

    /// <summary>The set of punctuation and the symbols of ASCII.</summary>
    public static CodeSet Punctuation => PunctuationSet.Value;

    /// <summary>
    /// The set of controls, formats and private use, without the common white space among the controls.
    /// </summary>
    public static CodeSet Control => ControlSet.Value;

    /// <summary>The set of marks that take no space, such as accents.</summary>
    public static CodeSet NonspacingMark => UnicodeData.Union("Nonspacing_Mark_8");

    /// <summary>The set of all kinds of marks.</summary>
    public static CodeSet Mark => UnicodeData.Union("Mark_9");

    private static CodeSet AsciiPunctuation() => CodeSet.FromSorted([('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]);
}
