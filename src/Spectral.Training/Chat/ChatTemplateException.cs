using Spectral.Training.IO;

namespace Spectral.Training.Chat;

/// <summary>
/// Reports a chat template that does not parse or fails to render, among them conversations that it refuses itself.
/// </summary>
public sealed class ChatTemplateException : InputException
{
    internal ChatTemplateException(string name, int line, int column, string reason, Exception inner)
        : base($"{name}, line {line}, column {column}: {reason}", inner)
    {
        Line = line;
        Column = column;
        Reason = reason;
    }

    /// <summary>The line of the template, from 1.</summary>
    public int Line { get; }

    /// <summary>The column of the template, from 1.</summary>
    public int Column { get; }

    /// <summary>What is wrong, with the name of Python's exception, except for what the template itself says.</summary>
    public string Reason { get; }
}
