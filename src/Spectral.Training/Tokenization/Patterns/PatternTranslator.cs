using System.Globalization;
using System.Text;

namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// Translates an expression for .NET. .NET matches UTF-16 units, so each character beyond U+FFFF is matched as one
/// unit: characters that no class of the expression distinguishes share a stand-in, a surrogate, which well-formed text
/// does not contain otherwise.
/// </summary>
internal sealed class PatternTranslator
{
    // A class of letters takes about a thousand characters.
    private const int LongestTranslation = 500_000;

    private readonly StringBuilder _output = new();
    private readonly Dictionary<CodeSet, string> _written = [];

    private PatternTranslator(PatternNode root)
    {
        List<CodeSet> sets = [];
        Collect(root, sets);
        StandIns = AstralStandIns.For(sets);
        Write(root);
    }

    private AstralStandIns StandIns { get; }

    /// <summary>Translates an expression in Oniguruma's syntax.</summary>
    /// <exception cref="PatternException">The pattern has a construct that is not translated.</exception>
    public static TranslatedPattern Translate(string expression)
    {
        PatternNode root = PatternRules.Apply(PatternParser.Parse(expression));
        PatternTranslator translator = new(root);
        return new TranslatedPattern(translator._output.ToString(), translator.StandIns, PatternRules.MayBeEmpty(root));
    }

    private static void Collect(PatternNode node, List<CodeSet> sets)
    {
        switch (node)
        {
            case PatternNode.Text text:
                sets.AddRange(text.Codes.Where(code => code > char.MaxValue).Select(code => CodeSet.Of(code)));
                break;
            case PatternNode.Class one:
                sets.Add(one.Set);
                break;
            case PatternNode.Anchor { Sign: 'b' or 'B' }:
                sets.Add(PropertySets.WordAlone);
                break;
        }
        foreach (PatternNode part in node.Parts)
            Collect(part, sets);
    }

    private void Write(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.Text text:
                foreach (int code in text.Codes)
                    _output.Append(code <= char.MaxValue ? Escape((char)code) : ClassOf(CodeSet.Of(code)));
                break;
            case PatternNode.Class one:
                _output.Append(ClassOf(one.Set));
                break;
            case PatternNode.Sequence all:
                foreach (PatternNode part in all.Items)
                    WriteUnit(part, alone: part is not PatternNode.Alternatives);
                break;
            case PatternNode.Alternatives any:
                for (int i = 0; i < any.Items.Count; i++)
                {
                    _output.Append(i > 0 ? "|" : "");
                    Write(any.Items[i]);
                }
                break;
            case PatternNode.Repeat repeat:
                // .NET would treat a repeated atomic loop as a single loop, which matches less. A capturing group
                // prevents this.
                if (repeat.Part is PatternNode.Atomic)
                    WriteIn("(", repeat.Part);
                else
                    WriteUnit(repeat.Part, repeat.Part is PatternNode.Class or PatternNode.Text { Codes.Length: 1 });
                _output.Append(CultureInfo.InvariantCulture, $"{{{repeat.Minimum},{repeat.Maximum}}}");
                _output.Append(repeat.Greedy ? "" : "?");
                break;
            case PatternNode.Atomic atomic:
                WriteIn("(?>", atomic.Part);
                break;
            case PatternNode.Look look:
                WriteIn($"(?{(look.Behind ? "<" : "")}{(look.Negative ? "!" : "=")}", look.Part);
                break;
            case PatternNode.Anchor anchor:
                WriteAnchor(anchor.Sign);
                break;
        }
        if (_output.Length > LongestTranslation)
            throw new PatternException("so many classes that the expression becomes too long");
    }

    private void WriteUnit(PatternNode part, bool alone)
    {
        if (alone)
            Write(part);
        else
            WriteIn("(?:", part);
    }

    private void WriteIn(string opening, PatternNode part)
    {
        _output.Append(opening);
        Write(part);
        _output.Append(')');
    }

    private void WriteAnchor(char sign)
    {
        string word = sign is 'b' or 'B' ? ClassOf(PropertySets.WordAlone) : "";
        _output.Append(
            sign switch
            {
                '^' => @"(?:\A|(?<=\n)(?!\z))",
                '$' => @"(?=\n|\z)",
                'b' => $"(?:(?<={word})(?!{word})|(?<!{word})(?={word}))",
                'B' => $"(?:(?<={word})(?={word})|(?<!{word})(?!{word}))",
                _ => $@"\{sign}",
            }
        );
    }

    private string ClassOf(CodeSet set)
    {
        if (_written.TryGetValue(set, out string? known))
            return known;
        return _written[set] = WriteClass(set);
    }

    private string WriteClass(CodeSet set)
    {
        List<(int First, int Last)> ranges = [.. StandIns.Units(set)];
        if (ranges.Count == 0)
            return "(?!)";
        if (ranges is [(0, char.MaxValue)])
            return @"[\s\S]";
        bool negative = ranges[0].First == 0 && ranges[^1].Last == char.MaxValue;
        StringBuilder text = new(negative ? "[^" : "[");
        int start = 0;
        foreach ((int first, int last) in ranges)
        {
            if (!negative)
                AppendRange(first, last);
            else if (first > start)
                AppendRange(start, first - 1);
            start = last + 1;
        }
        return text.Append(']').ToString();

        void AppendRange(int first, int last)
        {
            text.Append(Escape((char)first));
            if (last > first + 1)
                text.Append('-');
            if (last > first)
                text.Append(Escape((char)last));
        }
    }

    private static string Escape(char unit) =>
        char.IsAsciiLetterOrDigit(unit) || unit >= 0xA0 ? unit.ToString() : $"\\u{(int)unit:X4}";
}
