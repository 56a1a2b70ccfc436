namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// Parses an expression in the syntax of Oniguruma 6.9.10, which Hugging Face's tokenizers use. Constructs that .NET
/// cannot match in the same way are refused by name.
/// </summary>
internal sealed partial class PatternParser
{
    private const int DeepestNesting = 100;
    private const int LargestRepeat = 100_000;
    private const int End = -1;

    private static readonly CodeSet Newline = CodeSet.Of('\n');
    private static readonly CodeSet OtherLineEnds = CodeSet.Range('\n', '\r').Union(CodeSet.Of(0x85, 0x2028, 0x2029));

    private readonly int[] _codes;
    private int _at;
    private int _depth;
    private bool _ignoreCase;
    private bool _dotAll;
    private bool _extended;

    private PatternParser(string expression)
    {
        for (int i = 0; i < expression.Length; i += char.IsSurrogatePair(expression, i) ? 2 : 1)
        {
            if (char.IsSurrogate(expression[i]) && !char.IsSurrogatePair(expression, i))
                throw new PatternException("half of a surrogate pair");
        }
        _codes = [.. expression.EnumerateRunes().Select(rune => rune.Value)];
    }

    private int Next => _at < _codes.Length ? _codes[_at] : End;

    /// <summary>Parses an expression into its parts.</summary>
    /// <exception cref="PatternException">
    /// The pattern has a construct that is not translated, or it is malformed.
    /// </exception>
    public static PatternNode Parse(string expression)
    {
        PatternParser parser = new(expression);
        PatternNode node = parser.ParseAlternatives();
        return parser.Next == End ? node : throw new PatternException("a closing parenthesis without an opening one");
    }

    // Options set by an isolated (?i) hold until the group ends.
    private PatternNode ParseAlternatives()
    {
        if (++_depth > DeepestNesting)
            throw new PatternException($"more than {DeepestNesting} levels of parentheses or brackets");
        (bool, bool, bool) options = (_ignoreCase, _dotAll, _extended);
        List<PatternNode> branches = [ParseBranch()];
        while (TryRead('|'))
            branches.Add(ParseBranch());
        (_ignoreCase, _dotAll, _extended) = options;
        _depth--;
        return branches.Count == 1 ? branches[0] : new PatternNode.Alternatives(branches);
    }

    private PatternNode ParseBranch()
    {
        List<PatternNode> parts = [];
        while (SkipComments() && Next is not (End or '|' or ')'))
        {
            if (ParseIsolatedOptions() is { } rest)
            {
                parts.Add(rest);
                break;
            }
            PatternNode part = ParseQuantifiers(ParseAtom());
            // The parts of a plain group become parts of the branch.
            if (part is PatternNode.Sequence inner)
                parts.AddRange(inner.Items);
            else
                parts.Add(part);
        }
        JoinTexts(parts);
        return parts.Count == 1 ? parts[0] : new PatternNode.Sequence(parts);
    }

    // Adjacent characters form one text, because two of them may be the folding of one character.
    private static void JoinTexts(List<PatternNode> parts)
    {
        for (int i = 1; i < parts.Count; i++)
        {
            if (
                parts[i - 1] is not PatternNode.Text before
                || parts[i] is not PatternNode.Text text
                || before.IgnoreCase != text.IgnoreCase
            )
            {
                continue;
            }

            int end = i + 1;
            List<int> joined = [.. before.Codes, .. text.Codes];
            while (end < parts.Count && parts[end] is PatternNode.Text more && more.IgnoreCase == before.IgnoreCase)
                joined.AddRange(((PatternNode.Text)parts[end++]).Codes);
            parts[i - 1] = new PatternNode.Text([.. joined], before.IgnoreCase);
            parts.RemoveRange(i, end - i);
        }
    }

    private PatternNode ParseQuantifiers(PatternNode part)
    {
        while (SkipComments() && ReadQuantifier() is { } quantifier)
        {
            if (part is PatternNode.Anchor or PatternNode.Look)
                throw new PatternException("a quantifier behind an anchor or a look-around");
            (int minimum, int? maximum, bool greedy, bool possessive) = quantifier;
            if (minimum != 1 || maximum != 1)
                part = new PatternNode.Repeat(part, minimum, maximum, greedy);
            if (possessive)
                part = new PatternNode.Atomic(part);
        }
        return part;
    }

    private (int Minimum, int? Maximum, bool Greedy, bool Possessive)? ReadQuantifier()
    {
        (int Minimum, int? Maximum) range;
        switch (Next)
        {
            case '*':
                range = (0, null);
                break;
            case '+':
                range = (1, null);
                break;
            case '?':
                range = (0, 1);
                break;
            case '{':
                return ReadInterval();
            default:
                return null;
        }
        _at++;
        if (TryRead('?'))
            return (range.Minimum, range.Maximum, false, false);
        return (range.Minimum, range.Maximum, true, TryRead('+'));
    }

    // {n,m} with n above m is possessive. A + after any interval is a separate quantifier, and so is a ? after {n}.
    private (int Minimum, int? Maximum, bool Greedy, bool Possessive)? ReadInterval()
    {
        int start = _at++;
        int? low = ReadCount();
        bool fixedCount = Next != ',';
        int? high = low;
        if (!fixedCount)
        {
            _at++;
            high = ReadCount();
        }
        if ((low is null && high is null) || !TryRead('}'))
        {
            _at = start;
            return null;
        }
        int minimum = low ?? 0;
        if (high < minimum)
            return (high.Value, minimum, true, true);
        bool greedy = fixedCount || !TryRead('?');
        return (minimum, high, greedy, false);
    }

    private int? ReadCount()
    {
        int? count = null;
        for (; Next is >= '0' and <= '9'; _at++)
        {
            count = ((count ?? 0) * 10) + Next - '0';
            if (count > LargestRepeat)
                throw new PatternException($"a count above {LargestRepeat}");
        }
        return count;
    }

    private PatternNode ParseAtom()
    {
        int code = _codes[_at++];
        switch (code)
        {
            case '(':
                return ParseGroup();
            case '[':
                return ParseClass();
            case '.':
                return new PatternNode.Class(_dotAll ? CodeSet.All : Newline.Complement());
            case '^' or '$':
                return new PatternNode.Anchor((char)code);
            case '*' or '+' or '?':
                throw new PatternException("a quantifier without anything before it");
            case '\\':
                return ParseEscape();
            case '{':
                _at--;
                if (ReadInterval() is not null)
                    throw new PatternException("a quantifier without anything before it");
                _at++;
                break;
        }
        return Literal(code);
    }

    private PatternNode.Text Literal(int code) => new([code], _ignoreCase);

    private PatternNode ParseEscape()
    {
        int code = Next;
        switch (code)
        {
            case 'b' or 'B' or 'A' or 'Z' or 'z':
                _at++;
                return new PatternNode.Anchor((char)code);
            case 'R':
                _at++;
                return new PatternNode.Atomic(
                    new PatternNode.Alternatives([
                        new PatternNode.Text(['\r', '\n'], IgnoreCase: false),
                        new PatternNode.Class(OtherLineEnds),
                    ])
                );
            case 'N':
                _at++;
                return new PatternNode.Class(Newline.Complement());
            case 'O':
                _at++;
                return new PatternNode.Class(CodeSet.All);
            case >= '1' and <= '9' or 'k':
                throw new PatternException("a back-reference");
            case 'g':
                throw new PatternException("a call of a group");
            case 'G' or 'K' or 'X' or 'y' or 'Y':
                throw new PatternException($"\\{(char)code}");
        }
        return ParseType(PropertySets.WordAlone) is { } set
            ? new PatternNode.Class(set)
            : Literal(ParseCharacter(longestOctal: 2));
    }

    // Always returns true, so that it can stand in a condition before the check of the next character.
    private bool SkipComments()
    {
        while (true)
        {
            if (Next == '(' && _at + 2 < _codes.Length && _codes[_at + 1] == '?' && _codes[_at + 2] == '#')
                SkipTo(')', "a comment that is not closed");
            else if (_extended && Next == '#')
                SkipTo('\n', null);
            else if (_extended && Next is ' ' or '\t' or '\n' or '\r' or '\f')
                _at++;
            else
                return true;
        }
    }

    private void SkipTo(int end, string? missing)
    {
        while (Next != End && Next != end)
            _at += end == ')' && Next == '\\' ? 2 : 1;
        if (!TryRead(end) && missing is not null)
            throw new PatternException(missing);
    }

    private bool TryRead(int code)
    {
        if (Next != code)
            return false;
        _at++;
        return true;
    }
}
