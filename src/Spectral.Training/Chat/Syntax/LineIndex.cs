using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Syntax;

/// <summary>Finds the line and column of positions in a text.</summary>
internal sealed class LineIndex
{
    private readonly List<int> _starts = [0];

    public LineIndex(string text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '\n')
                _starts.Add(i + 1);
        }
    }

    /// <summary>Returns the place of a position.</summary>
    public Place Of(int position)
    {
        int line = _starts.BinarySearch(position);
        if (line < 0)
            line = ~line - 1;
        return new Place(line + 1, position - _starts[line] + 1);
    }
}
