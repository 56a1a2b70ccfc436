using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Syntax;

/// <summary>The tokens of a template, read one after another.</summary>
internal sealed class TokenStream(List<Token> tokens)
{
    private int _at;

    /// <summary>The token to read next.</summary>
    public Token Current => tokens[_at];

    /// <summary>The token behind the next one.</summary>
    public Token Following => tokens[Math.Min(_at + 1, tokens.Count - 1)];

    /// <summary>Whether all tokens are read.</summary>
    public bool IsAtEnd => Current.Kind == TokenKind.End;

    /// <summary>Reads the next token, whatever it is.</summary>
    public Token Next() => IsAtEnd ? Current : tokens[_at++];

    /// <summary>Returns whether the next token is a name or keyword.</summary>
    public bool IsName(string name) => Current.Kind == TokenKind.Name && Current.Text == name;

    /// <summary>Returns whether the next token is an operator.</summary>
    public bool IsOperator(string text) => Current.Kind == TokenKind.Operator && Current.Text == text;

    /// <summary>Reads a keyword if it comes next.</summary>
    public bool SkipName(string name)
    {
        bool found = IsName(name);
        if (found)
            _at++;
        return found;
    }

    /// <summary>Reads an operator if it comes next.</summary>
    public bool SkipOperator(string text)
    {
        bool found = IsOperator(text);
        if (found)
            _at++;
        return found;
    }

    /// <summary>Reads a token of a kind.</summary>
    /// <exception cref="SyntaxError">Another one comes next.</exception>
    public Token Expect(TokenKind kind) => Current.Kind == kind ? Next() : throw Unexpected(Token.Describe(kind));

    /// <summary>Reads an operator, which has to come next.</summary>
    /// <exception cref="SyntaxError">Another token comes next.</exception>
    public Token ExpectOperator(string text) => IsOperator(text) ? Next() : throw Unexpected(text);

    /// <summary>Reads a keyword, which has to come next.</summary>
    /// <exception cref="SyntaxError">Another token comes next.</exception>
    public Token ExpectName(string name) => IsName(name) ? Next() : throw Unexpected(name);

    /// <summary>Returns the error of a token that should be another one.</summary>
    public SyntaxError Unexpected(string expected) =>
        new(
            Current.Place,
            IsAtEnd
                ? $"unexpected end of template, expected {PythonText.Quote(expected)}."
                : $"expected token {PythonText.Quote(expected)}, got {PythonText.Quote(Current.Describe())}"
        );
}
