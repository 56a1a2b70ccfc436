using System.Text;

namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// Parses bracketed classes, and the escapes for one character or a set inside and outside of brackets.
/// </summary>
internal sealed partial class PatternParser
{
    private readonly Dictionary<(CodeSet Set, bool Negative), PatternNode> _folded = [];

    private PatternNode ParseClass()
    {
        (CodeSet set, bool negative) = ParseBracket();
        if (!_ignoreCase)
            return new PatternNode.Class(negative ? set.Complement() : set);
        if (!_folded.TryGetValue((set, negative), out PatternNode? node))
            _folded.Add((set, negative), node = CaseFolding.Expand(set, negative));
        return node;
    }

    // Parses the content of brackets and a ^ before it, which is applied last.
    private (CodeSet Set, bool Negative) ParseBracket()
    {
        if (++_depth > DeepestNesting)
            throw new PatternException($"more than {DeepestNesting} levels of parentheses or brackets");
        bool negative = TryRead('^');
        CodeSet? before = null;
        CodeSet set = CodeSet.Empty;
        for (bool first = true; first || Next != ']'; first = false)
        {
            if (Next == ']' && !ClosesLater())
                throw new PatternException("an empty class []");
            if (Next == '&' && _at + 1 < _codes.Length && _codes[_at + 1] == '&')
            {
                _at += 2;
                before = before?.Intersect(set) ?? set;
                set = CodeSet.Empty;
                continue;
            }
            set = set.Union(ParseItem());
        }
        _at++;
        _depth--;
        return (before?.Intersect(set) ?? set, negative);
    }

    // A ] at the beginning stands for itself if another one follows.
    private bool ClosesLater()
    {
        for (int i = _at + 1; i < _codes.Length; i++)
        {
            if (_codes[i] == ']')
                return true;
            if (_codes[i] == '\\')
                i++;
        }
        return false;
    }

    private CodeSet ParseItem()
    {
        if (TryRead('['))
        {
            if (ReadBracketName() is { } named)
                return RefuseRange(named);
            (CodeSet inner, bool negative) = ParseBracket();
            return negative ? inner.Complement() : inner;
        }
        (int first, CodeSet? type) = ParseMember();
        if (type is not null)
            return RefuseRange(type);
        if (Next != '-' || _at + 1 >= _codes.Length || _codes[_at + 1] == ']' || IsAnd(_at + 1))
            return CodeSet.Of(first);
        _at++;
        (int last, type) = Next == '[' ? (0, CodeSet.Empty) : ParseMember();
        if (type is not null)
            throw new PatternException("a range that ends in a class");
        return first <= last
            ? CodeSet.Range(first, last)
            : throw new PatternException("a range whose end comes before its start");
    }

    private bool IsAnd(int place) => place + 1 < _codes.Length && _codes[place] == '&' && _codes[place + 1] == '&';

    // [\w-] ends in a hyphen; [\w-a] is an error.
    private CodeSet RefuseRange(CodeSet set) =>
        Next == '-' && _at + 1 < _codes.Length && _codes[_at + 1] != ']' && !IsAnd(_at + 1)
            ? throw new PatternException("a range that begins with a class")
            : set;

    // Parses one character of a class, or the set that an escape stands for.
    private (int Code, CodeSet? Type) ParseMember()
    {
        if (Next == End)
            throw new PatternException("a class that is not closed");
        if (!TryRead('\\'))
            return (_codes[_at++], null);
        if (ParseType(PropertySets.Word) is { } type)
            return (0, type);
        return (TryRead('b') ? '\b' : ParseCharacter(longestOctal: 3), null);
    }

    // [:name:] or [:^name:]; the first bracket has been read. Anything else is a class in a class.
    private CodeSet? ReadBracketName()
    {
        int start = _at;
        if (!TryRead(':'))
            return null;
        bool negative = TryRead('^');
        StringBuilder name = new();
        while (Next is (>= 'a' and <= 'z') or (>= 'A' and <= 'Z'))
            name.Append((char)_codes[_at++]);
        if (name.Length == 0 || !TryRead(':') || !TryRead(']'))
        {
            _at = start;
            return null;
        }
        CodeSet set = PropertySets.FindBracket(name.ToString()) ?? throw new PatternException($"the class [:{name}:]");
        return negative ? set.Complement() : set;
    }

    // Parses \w and the like after the backslash. Returns null and reads nothing if it is another escape.
    private CodeSet? ParseType(CodeSet word)
    {
        CodeSet? set = Next switch
        {
            'w' or 'W' => word,
            'd' or 'D' => PropertySets.Digit,
            's' or 'S' => PropertySets.Space,
            'h' or 'H' => PropertySets.HexDigit,
            'p' or 'P' when _at + 1 < _codes.Length && _codes[_at + 1] == '{' => CodeSet.Empty,
            _ => null,
        };
        if (set is null)
            return null;
        int letter = _codes[_at++];
        bool negative = letter is >= 'A' and <= 'Z';
        if (letter is 'p' or 'P')
        {
            _at++;
            negative ^= TryRead('^');
            set = ReadProperty(word);
        }
        return negative ? set.Complement() : set;
    }

    private CodeSet ReadProperty(CodeSet word)
    {
        StringBuilder name = new();
        while (Next is not ('}' or '(' or ')' or '{' or '|' or End))
            name.Append(new Rune(_codes[_at++]));
        if (!TryRead('}'))
            throw new PatternException("a property that is not closed");
        CodeSet set = PropertySets.Find(name.ToString()) ?? throw new PatternException($"the property {name}");
        return set.Equals(PropertySets.Word) ? word : set;
    }

    // Parses the character of an escape after the backslash.
    private int ParseCharacter(int longestOctal)
    {
        int code = Next;
        _at++;
        switch (code)
        {
            case End:
                throw new PatternException("a backslash at the end");
            case 'n':
                return '\n';
            case 't':
                return '\t';
            case 'r':
                return '\r';
            case 'f':
                return '\f';
            case 'v':
                return '\v';
            case 'a':
                return '\a';
            case 'e':
                return '\e';
            case 'x' when TryRead('{'):
                return ReadBraced(16, longest: 8);
            case 'o' when TryRead('{'):
                return ReadBraced(8, longest: 11);
            case 'x':
                return OneByte(ReadNumber(16, longest: 2));
            case 'u':
                return ReadNumber(16, longest: 4, shortest: 4);
            case >= '0' and <= '7':
                _at -= longestOctal == 3 ? 1 : 0;
                return OneByte(ReadNumber(8, longestOctal, shortest: 0));
            case 'c' or 'C' or 'M':
                throw new PatternException($"the control character \\{(char)code}");
        }
        return code;
    }

    private int ReadBraced(int radix, int longest)
    {
        int code = ReadNumber(radix, longest);
        return TryRead('}') ? code : throw new PatternException("a sequence of code points in braces");
    }

    private int ReadNumber(int radix, int longest, int shortest = 1)
    {
        long number = 0;
        int start = _at;
        for (; _at - start < longest && Digit(Next) < radix; _at++)
            number = (number * radix) + Digit(Next);
        if (_at - start < shortest || number >= CodeSet.Limit || number is >= 0xD800 and < 0xE000)
            throw new PatternException("an escape that is no code point");
        return (int)number;

        static int Digit(int code) =>
            code switch
            {
                >= '0' and <= '9' => code - '0',
                >= 'a' and <= 'f' => code - 'a' + 10,
                >= 'A' and <= 'F' => code - 'A' + 10,
                _ => int.MaxValue,
            };
    }

    // \xHH and \nnn are bytes of UTF-8, of which only those below 0x80 are characters.
    private static int OneByte(int value) =>
        value < 0x80 ? value : throw new PatternException("an escape of a byte above 7F");
}
