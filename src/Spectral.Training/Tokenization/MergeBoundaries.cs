using System.Buffers;

namespace Spectral.Training.Tokenization;

/// <summary>
/// Places inside a piece that no merge can cross, so that each side may be merged alone. Tokenizers that split nothing
/// merge a whole text as one piece; yet in most of them no token has a space inside, only before a word, and then words
/// can be looked up.
/// </summary>
/// <param name="symbols">The ids of the characters that are tokens, by character; others are negative.</param>
internal sealed class MergeBoundaries(int[] symbols)
{
    // Characters that some merge joins to another one before them.
    private readonly bool[] _joined = new bool[char.MaxValue + 1];
    private SearchValues<char> _cuts = SearchValues.Create("");

    /// <summary>Takes notice of a merge of two tokens.</summary>
    public void Add(ReadOnlySpan<char> left, ReadOnlySpan<char> right)
    {
        // Runs of one character stay together: tokens of several spaces are common. An empty token never stands beside
        // a boundary.
        if (left.Length > 0 && right.Length > 0 && left[^1] != right[0])
            _joined[right[0]] = true;
    }

    /// <summary>After the last merge: finds the characters that can begin a part.</summary>
    public void Complete() =>
        _cuts = SearchValues.Create([
            .. Enumerable
                .Range(0, symbols.Length)
                .Where(character => symbols[character] >= 0 && !_joined[character])
                .Select(character => (char)character),
        ]);

    /// <summary>Where the part of <paramref name="piece"/> that begins at <paramref name="start"/> ends.</summary>
    public int Next(ReadOnlySpan<char> piece, int start)
    {
        for (int at = start + 1; at < piece.Length; at++)
        {
            int found = piece[at..].IndexOfAny(_cuts);
            if (found < 0)
                break;
            at += found;
            // A character that is no token is merged as its bytes or as the unknown token, whose texts end otherwise.
            if (piece[at - 1] != piece[at] && symbols[piece[at - 1]] >= 0)
                return at;
        }
        return piece.Length;
    }
}
