using System.Buffers;

namespace Spectral.Training.Tokenization;

/// <summary>
/// Finds places inside a piece that no merge can cross, so that each side can be merged alone. Tokenizers without a
/// split merge a whole text as one piece. But in most of them a space occurs only at the beginning of a token, so that
/// words can be looked up.
/// </summary>
/// <param name="symbols">The ids of the characters that are tokens, by character; others are negative.</param>
internal sealed class MergeBoundaries(int[] symbols)
{
    // Characters that some merge joins to another one before them.
    private readonly bool[] _joined = new bool[char.MaxValue + 1];
    private SearchValues<char> _cuts = SearchValues.Create("");

    /// <summary>Registers a merge of two tokens.</summary>
    public void Add(ReadOnlySpan<char> left, ReadOnlySpan<char> right)
    {
        // Runs of one character stay together, because tokens of several spaces are common. An empty token is never
        // next to a boundary.
        if (left.Length > 0 && right.Length > 0 && left[^1] != right[0])
            _joined[right[0]] = true;
    }

    /// <summary>Determines the characters that can begin a part. Call it after the last merge.</summary>
    public void Complete() =>
        _cuts = SearchValues.Create([
            .. Enumerable
                .Range(0, symbols.Length)
                .Where(character => symbols[character] >= 0 && !_joined[character])
                .Select(character => (char)character),
        ]);

    /// <summary>
    /// Returns the end of the part of <paramref name="piece"/> that begins at <paramref name="start"/>.
    /// </summary>
    public int Next(ReadOnlySpan<char> piece, int start)
    {
        for (int at = start + 1; at < piece.Length; at++)
        {
            int found = piece[at..].IndexOfAny(_cuts);
            if (found < 0)
                break;
            at += found;
            // A character that is not a token is merged as bytes or as the unknown token, whose texts end differently.
            if (piece[at - 1] != piece[at] && symbols[piece[at - 1]] >= 0)
                return at;
        }
        return piece.Length;
    }
}
