using Spectral.Training.Chat.Library;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Syntax;

/// <summary>
/// Splits a template into tokens, with the settings that transformers uses: the newline behind a statement is dropped
/// (trim_blocks), and so is white space between the beginning of a line and a statement (lstrip_blocks). A minus sign
/// in a tag drops all white space on its side, a plus sign keeps it.
/// </summary>
internal sealed class Lexer
{
    private readonly string _source;
    private readonly LineIndex _lines;
    private readonly List<Token> _tokens = [];
    private int _at;
    private bool _atLineStart = true;

    private Lexer(string source)
    {
        _source = source.Replace("\r\n", "\n").Replace('\r', '\n');
        // The last newline of a template is not part of its text.
        if (_source.EndsWith('\n'))
            _source = _source[..^1];
        _lines = new LineIndex(_source);
    }

    /// <summary>Returns the tokens of a template.</summary>
    /// <exception cref="SyntaxError">A tag is not closed, or has a character that means nothing.</exception>
    public static List<Token> Tokens(string source)
    {
        Lexer lexer = new(source);
        while (lexer._at < lexer._source.Length)
            lexer.ReadData();
        lexer.Add(TokenKind.End, "", null, lexer._at);
        return lexer._tokens;
    }

    private void ReadData()
    {
        int tag = NextTag(_at);
        if (tag < 0)
        {
            AddData(_source[_at..], _at);
            _at = _source.Length;
            return;
        }
        char kind = _source[tag + 1];
        int afterSign = AfterSign(tag + 2, out char sign);
        AddData(Stripped(_source[_at..tag], sign, mayStripLine: kind != '{'), _at);
        int rawEnd = kind == '%' ? RawBegin(afterSign) : -1;
        _at = afterSign;
        _atLineStart = false;
        if (rawEnd >= 0)
            ReadRaw(tag, rawEnd);
        else if (kind == '#')
            ReadComment(tag);
        else
            ReadTag(tag, isBlock: kind == '%');
    }

    private int NextTag(int from)
    {
        for (int at = from; (at = _source.IndexOf('{', at)) >= 0; at++)
        {
            if (at + 1 < _source.Length && _source[at + 1] is '%' or '{' or '#')
                return at;
        }
        return -1;
    }

    private int AfterSign(int at, out char sign)
    {
        sign = at < _source.Length && _source[at] is '-' or '+' ? _source[at] : ' ';
        return sign == ' ' ? at : at + 1;
    }

    private string Stripped(string text, char sign, bool mayStripLine)
    {
        if (sign == '-')
            return Spaces.Strip(text, null, left: false, right: true);
        if (sign == '+' || !mayStripLine)
            return text;
        int line = text.LastIndexOf('\n') + 1;
        return (line > 0 || _atLineStart) && text.AsSpan(line).IsWhiteSpace() ? text[..line] : text;
    }

    private void ReadComment(int tag)
    {
        int end = _source.IndexOf("#}", _at, StringComparison.Ordinal);
        // Jinja lets a comment pass that begins at the very end.
        if (end < 0 && _at == _source.Length)
            return;
        if (end < 0)
            throw new SyntaxError(_lines.Of(tag), "Missing end of comment tag");
        char sign = end > _at ? _source[end - 1] : ' ';
        _at = AfterEnd(end + 2, sign, trimsNewline: true);
    }

    // Returns the position behind "raw %}"; −1 if the statement is another one.
    private int RawBegin(int at)
    {
        at = SkipWord(at, "raw");
        if (at < 0)
            return -1;
        if (StartsWith("-%}", at))
            return SkipSpaces(at + 3);
        return StartsWith("%}", at) ? at + 2 : -1;
    }

    private void ReadRaw(int tag, int start)
    {
        _atLineStart = _source[start - 1] == '\n';
        for (int at = start; (at = _source.IndexOf("{%", at, StringComparison.Ordinal)) >= 0; at += 2)
        {
            int behind = SkipWord(AfterSign(at + 2, out char sign), "endraw");
            if (behind < 0)
                continue;
            char end = behind < _source.Length ? _source[behind] : ' ';
            if (!StartsWith("%}", end is '-' or '+' ? behind + 1 : behind))
                continue;
            AddData(Stripped(_source[start..at], sign, mayStripLine: true), start);
            _at = AfterEnd(end is '-' or '+' ? behind + 3 : behind + 2, end, trimsNewline: true);
            return;
        }
        throw new SyntaxError(_lines.Of(tag), "Missing end of raw directive");
    }

    private int SkipWord(int at, string word)
    {
        at = SkipSpaces(at);
        return StartsWith(word, at) ? SkipSpaces(at + word.Length) : -1;
    }

    private int SkipSpaces(int at)
    {
        while (at < _source.Length && Spaces.IsSpace(_source[at]))
            at++;
        return at;
    }

    private bool StartsWith(string text, int at) =>
        at <= _source.Length && _source.AsSpan(at).StartsWith(text, StringComparison.Ordinal);

    private int AfterEnd(int at, char sign, bool trimsNewline)
    {
        int end = at;
        if (sign == '-')
            end = SkipSpaces(at);
        else if (sign != '+' && trimsNewline && StartsWith("\n", at))
            end = at + 1;
        _atLineStart = _source[end - 1] == '\n';
        return end;
    }

    private void ReadTag(int tag, bool isBlock)
    {
        Add(isBlock ? TokenKind.BlockBegin : TokenKind.VariableBegin, "", null, tag);
        string close = isBlock ? "%}" : "}}";
        Stack<char> open = new();
        while (true)
        {
            _at = SkipSpaces(_at);
            if (_at >= _source.Length)
                return;
            if (open.Count == 0 && ReadEnd(close, isBlock))
                return;
            ReadToken(open);
        }
    }

    private bool ReadEnd(string close, bool isBlock)
    {
        char sign = _source[_at] == '-' || (_source[_at] == '+' && isBlock) ? _source[_at] : ' ';
        int end = sign == ' ' ? _at : _at + 1;
        if (!StartsWith(close, end))
            return false;
        Add(isBlock ? TokenKind.BlockEnd : TokenKind.VariableEnd, "", null, _at);
        _at = AfterEnd(end + 2, sign, trimsNewline: isBlock);
        return true;
    }

    private void ReadToken(Stack<char> open)
    {
        int start = _at;
        char c = _source[_at];
        if (Literals.TryNumber(_source, ref _at, out object? number))
        {
            Add(number is double ? TokenKind.Float : TokenKind.Integer, _source[start.._at], number, start);
        }
        else if (TextKinds.IsIdentifierStart(c))
        {
            while (_at < _source.Length && TextKinds.IsIdentifierPart(_source[_at]))
                _at++;
            Add(TokenKind.Name, _source[start.._at], null, start);
        }
        else if (c is '"' or '\'' && Literals.TryText(_source, ref _at, _lines.Of(start), out string? text))
        {
            Add(TokenKind.Text, "", text, start);
        }
        else
        {
            ReadOperator(open);
        }
    }

    private void ReadOperator(Stack<char> open)
    {
        char c = _source[_at];
        int length = c switch
        {
            '/' or '*' when StartsWith(new string(c, 2), _at) => 2,
            '=' or '!' or '<' or '>' when StartsWith("=", _at + 1) => 2,
            _ => "+-/*%~[](){}<>=.:|,;".Contains(c) ? 1 : 0,
        };
        if (length == 0)
        {
            string character = CodePoints.Slice(_source[_at..], 0, 1);
            throw new SyntaxError(_lines.Of(_at), $"unexpected char {PythonText.Quote(character)}");
        }
        if (c is '(' or '[' or '{')
        {
            open.Push(
                c switch
                {
                    '(' => ')',
                    '[' => ']',
                    _ => '}',
                }
            );
        }
        else if (c is ')' or ']' or '}')
        {
            if (!open.TryPop(out char expected))
                throw new SyntaxError(_lines.Of(_at), $"unexpected '{c}'");
            if (expected != c)
                throw new SyntaxError(_lines.Of(_at), $"unexpected '{c}', expected '{expected}'");
        }
        Add(TokenKind.Operator, _source.Substring(_at, length), null, _at);
        _at += length;
    }

    private void AddData(string text, int position)
    {
        if (text.Length > 0)
            Add(TokenKind.Data, text, null, position);
    }

    private void Add(TokenKind kind, string text, object? value, int position) =>
        _tokens.Add(new Token(kind, text, value, _lines.Of(position)));
}
