using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Syntax;

/// <summary>A token of a template.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="Text">Its text: data, a name, an operator.</param>
/// <param name="Value">The value of a text or number.</param>
/// <param name="Place">Where it begins.</param>
internal readonly record struct Token(TokenKind Kind, string Text, object? Value, Place Place)
{
    /// <summary>Returns the token as messages name it.</summary>
    public string Describe() => Kind is TokenKind.Name or TokenKind.Operator ? Text : Describe(Kind);

    /// <summary>Returns a kind of token as messages name it.</summary>
    public static string Describe(TokenKind kind) =>
        kind switch
        {
            TokenKind.Data => "template data / text",
            TokenKind.BlockBegin => "begin of statement block",
            TokenKind.BlockEnd => "end of statement block",
            TokenKind.VariableBegin => "begin of print statement",
            TokenKind.VariableEnd => "end of print statement",
            TokenKind.Text => "string",
            TokenKind.Integer => "integer",
            TokenKind.Float => "float",
            TokenKind.End => "end of template",
            _ => "name",
        };
}
