namespace Spectral.Training.Chat;

/// <summary>A conversation as text.</summary>
public sealed class RenderedChat
{
    internal RenderedChat(string text, IReadOnlyList<(int Start, int End)> generated, bool hasUnplacedGeneration)
    {
        Text = text;
        Generated = generated;
        HasUnplacedGeneration = hasUnplacedGeneration;
    }

    /// <summary>The text of the conversation.</summary>
    public string Text { get; }

    /// <summary>
    /// The parts of <see cref="Text"/> that the template marks as generated, as ranges of its characters.
    /// </summary>
    public IReadOnlyList<(int Start, int End)> Generated { get; }

    /// <summary>Whether a part is marked whose place in the text is not known, as it was written by a macro.</summary>
    internal bool HasUnplacedGeneration { get; }
}
