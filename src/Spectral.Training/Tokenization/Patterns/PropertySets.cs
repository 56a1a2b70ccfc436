using System.Collections.Concurrent;

namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// The sets of code points that an expression can name: character types, bracket names and properties.
/// </summary>
internal static class PropertySets
{
    private static readonly Lazy<CodeSet> WordSet = new(() =>
        UnicodeData.Union("Alphabetic", "Mn", "Mc", "Me", "Nd", "Pc")
    );
    private static readonly Lazy<CodeSet> WordAloneSet = new(() =>
        Word.Union(CodeSet.Of('²', '³', '¹', '¼', '½', '¾'))
    );
    private static readonly Lazy<CodeSet> AssignedSet = new(Assigned);
    private static readonly ConcurrentDictionary<string, CodeSet> Known = new();
    private static readonly CodeSet Surrogates = CodeSet.Range(0xD800, 0xDFFF);

    /// <summary>The set of \w in a class: letters, marks, decimal digits and connectors.</summary>
    public static CodeSet Word => WordSet.Value;

    /// <summary>
    /// The set of \w outside of classes, and for \b. It also includes the non-decimal digits of Latin-1.
    /// </summary>
    public static CodeSet WordAlone => WordAloneSet.Value;

    /// <summary>The set of \s, white space.</summary>
    public static CodeSet Space => UnicodeData.Union("White_Space");

    /// <summary>The set of \d, decimal digits.</summary>
    public static CodeSet Digit => UnicodeData.Union("Nd");

    /// <summary>The set of \h, hexadecimal digits of ASCII.</summary>
    public static CodeSet HexDigit => UnicodeData.Union("ASCII_Hex_Digit");

    /// <summary>Returns the set of a property by the name between the braces of \p{…}; null if unknown.</summary>
    public static CodeSet? Find(string name)
    {
        string key = UnicodeData.Key(name);
        if (Known.TryGetValue(key, out CodeSet? known))
            return known;
        return Compute(key) is { } set ? Known.GetOrAdd(key, set) : null;
    }

    /// <summary>Returns a set by the name between [: and :]; null if unknown.</summary>
    public static CodeSet? FindBracket(string name) =>
        name switch
        {
            "alnum"
            or "alpha"
            or "ascii"
            or "blank"
            or "cntrl"
            or "digit"
            or "graph"
            or "lower"
            or "print"
            or "space"
            or "upper"
            or "word"
            or "xdigit" => Find(name),
            "punct" => Find(name)!.Union(Symbols()),
            _ => null,
        };

    private static CodeSet? Compute(string key) =>
        key switch
        {
            "ANY" => CodeSet.All,
            "ASCII" => CodeSet.Range(0, 0x7F),
            "ASSIGNED" => AssignedSet.Value,
            "CN" or "UNASSIGNED" => AssignedSet.Value.Complement(),
            "CS" or "SURROGATE" => Surrogates,
            "L" or "LETTER" => UnicodeData.Union("Lu", "Ll", "Lt", "Lm", "Lo"),
            "LC" or "CASEDLETTER" => UnicodeData.Union("Lu", "Ll", "Lt"),
            "M" or "MARK" or "COMBININGMARK" => UnicodeData.Union("Mn", "Mc", "Me"),
            "N" or "NUMBER" => UnicodeData.Union("Nd", "Nl", "No"),
            "P" or "PUNCTUATION" or "PUNCT" => UnicodeData.Union("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"),
            "S" or "SYMBOL" => Symbols(),
            "Z" or "SEPARATOR" => UnicodeData.Union("Zs", "Zl", "Zp"),
            "C" or "OTHER" => UnicodeData
                .Union("Cc", "Cf", "Co")
                .Union(AssignedSet.Value.Complement())
                .Union(Surrogates),
            "ALPHA" => UnicodeData.Union("Alphabetic"),
            "ALNUM" => UnicodeData.Union("Alphabetic", "Nd"),
            "BLANK" => UnicodeData.Union("Zs").Union(CodeSet.Of('\t')),
            "CNTRL" => UnicodeData.Union("Cc"),
            "DIGIT" => Digit,
            "GRAPH" => Graph(),
            "LOWER" => UnicodeData.Union("Lowercase"),
            "PRINT" => Graph().Union(UnicodeData.Union("Zs")),
            "SPACE" => Space,
            "UPPER" => UnicodeData.Union("Uppercase"),
            "XDIGIT" => HexDigit,
            "WORD" => Word,
            _ => Named(key),
        };

    // Names of sets from other Unicode versions end in a digit, which no property does.
    private static CodeSet? Named(string key) =>
        key.Length > 0 && !char.IsAsciiDigit(key[^1]) ? UnicodeData.Find(key) : null;

    private static CodeSet Symbols() => UnicodeData.Union("Sm", "Sc", "Sk", "So");

    private static CodeSet Graph() =>
        AssignedSet.Value.Except(Space).Except(UnicodeData.Union("Cc")).Except(Surrogates);

    private static CodeSet Assigned() =>
        UnicodeData
            .Union(
                "Lu",
                "Ll",
                "Lt",
                "Lm",
                "Lo",
                "Mn",
                "Mc",
                "Me",
                "Nd",
                "Nl",
                "No",
                "Pc",
                "Pd",
                "Ps",
                "Pe",
                "Pi",
                "Pf",
                "Po",
                "Sm",
                "Sc",
                "Sk",
                "So",
                "Zs",
                "Zl",
                "Zp",
                "Cc",
                "Cf",
                "Co"
            )
            .Union(Surrogates);
}
