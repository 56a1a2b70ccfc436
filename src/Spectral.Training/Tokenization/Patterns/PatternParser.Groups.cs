using System.Text;

namespace Spectral.Training.Tokenization.Patterns;

/// <summary>Parses everything that begins with a parenthesis: groups, look-arounds and options.</summary>
internal sealed partial class PatternParser
{
    private PatternNode ParseGroup()
    {
        if (Next == '*')
            throw new PatternException("a callout");
        if (!TryRead('?'))
            return new PatternNode.Group(CloseGroup(), Captures: true);
        int kind = Next;
        _at++;
        switch (kind)
        {
            case ':':
                return CloseGroup();
            case '>':
                return new PatternNode.Atomic(CloseGroup());
            case '=' or '!':
                return new PatternNode.Look(CloseGroup(), Behind: false, Negative: kind == '!');
            case '<' when Next is '=' or '!':
                bool negative = _codes[_at++] == '!';
                return new PatternNode.Look(CloseGroup(), Behind: true, negative);
            case '<' or '\'':
                SkipName(kind == '<' ? '>' : '\'');
                return new PatternNode.Group(CloseGroup(), Captures: true);
            case '(':
                throw new PatternException("a condition (?(…)…)");
            case '~':
                throw new PatternException("an absent operator (?~…)");
            case '{':
                throw new PatternException("a callout");
            case End:
                throw new PatternException("a parenthesis that is not closed");
        }
        _at--;
        (bool, bool, bool) options = (_ignoreCase, _dotAll, _extended);
        if (ReadOptions() != ':')
            throw new InvalidOperationException("isolated options are read before atoms");
        PatternNode part = CloseGroup();
        (_ignoreCase, _dotAll, _extended) = options;
        return new PatternNode.Group(part);
    }

    // (?i) without a colon: everything after it, including other branches, forms a group.
    private PatternNode? ParseIsolatedOptions()
    {
        int start = _at;
        if (!TryRead('(') || !TryRead('?') || Next is not ('-' or (>= 'a' and <= 'z') or (>= 'A' and <= 'Z')))
        {
            _at = start;
            return null;
        }
        (bool, bool, bool) options = (_ignoreCase, _dotAll, _extended);
        if (ReadOptions() == ')')
        {
            PatternNode rest = new PatternNode.Group(ParseAlternatives());
            (_ignoreCase, _dotAll, _extended) = options;
            return rest;
        }
        (_ignoreCase, _dotAll, _extended) = options;
        _at = start;
        return null;
    }

    private int ReadOptions()
    {
        bool value = true;
        while (true)
        {
            int sign = Next;
            _at++;
            switch (sign)
            {
                case ':' or ')':
                    return sign;
                case '-':
                    value = false;
                    break;
                case 'i':
                    _ignoreCase = value;
                    break;
                case 'm':
                    _dotAll = value;
                    break;
                case 'x':
                    _extended = value;
                    break;
                case End:
                    throw new PatternException("a parenthesis that is not closed");
                default:
                    throw new PatternException($"the option {new Rune(sign)} of (?…)");
            }
        }
    }

    private PatternNode CloseGroup()
    {
        PatternNode part = ParseAlternatives();
        return TryRead(')') ? part : throw new PatternException("a parenthesis that is not closed");
    }

    private void SkipName(int close)
    {
        int start = _at;
        while (Next != End && PropertySets.Word.Contains(Next))
            _at++;
        if (_at == start || _codes[start] is >= '0' and <= '9' || !TryRead(close))
            throw new PatternException("a group name that is no word");
    }
}
