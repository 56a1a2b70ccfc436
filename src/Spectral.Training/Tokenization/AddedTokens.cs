using System.Buffers;
using System.Text;

namespace Spectral.Training.Tokenization;

/// <summary>
/// Finds the <c>added_tokens</c> of a tokenizer file. Those not normalized are searched for in the raw text, the others
/// in the normalized text between them. In both cases the leftmost match counts, and of several the longest.
/// </summary>
internal sealed class AddedTokens
{
    private readonly TokenTrie _raw;
    private readonly TokenTrie _normalized;
    private readonly NormalizerStep _normalize;

    public AddedTokens(IReadOnlyList<AddedToken> tokens, NormalizerStep normalize)
    {
        _normalize = normalize;
        _raw = new TokenTrie(tokens.Where(token => !token.Normalized).Select(token => (token.Content, token)));
        _normalized = new TokenTrie(
            tokens.Where(token => token.Normalized).Select(token => (normalize(token.Content, goesOn: false), token))
        );
    }

    /// <summary>Splits a text into added tokens and the normalized pieces between them, in order.</summary>
    /// <param name="text">The text to split.</param>
    /// <param name="budget">The limit on how much longer the text may become.</param>
    /// <param name="atStart">
    /// Whether its beginning counts as the beginning of a text, for steps that depend on it.
    /// </param>
    /// <param name="goesOn">Whether the piece at the beginning continues another text.</param>
    public IEnumerable<(AddedToken? Token, TextPiece Piece)> Split(
        string text,
        GrowthBudget budget,
        bool atStart,
        bool goesOn
    )
    {
        foreach ((AddedToken? token, TextPiece piece) in Find(_raw, new TextPiece(text, atStart)))
        {
            if (token is not null)
            {
                yield return (token, piece);
                continue;
            }
            TextPiece changed = piece with { Text = _normalize(piece.Text, goesOn && piece.AtStart) };
            budget.Spend(changed.Text.Length);
            foreach ((AddedToken? Token, TextPiece Piece) part in Find(_normalized, changed))
                yield return part;
        }
    }

    private static IEnumerable<(AddedToken? Token, TextPiece Piece)> Find(TokenTrie tokens, TextPiece piece)
    {
        string text = piece.Text;
        int done = 0;
        for (int at = 0; tokens.Next(text, at) is { } place; )
        {
            (AddedToken found, int start, int end) = place;
            at = end;
            if (found.SingleWord && (EndsWithWord(text.AsSpan(0, start)) || StartsWithWord(text.AsSpan(end))))
                continue;
            while (found.StripLeft && start > 0 && char.IsWhiteSpace(text[start - 1]))
                start--;
            // Space that the previous token has taken stays with it. A token that begins within that space still
            // counts.
            if (found.StripLeft)
                start = Math.Max(start, done);
            while (found.StripRight && end < text.Length && char.IsWhiteSpace(text[end]))
                end++;
            if (start > done)
                yield return (null, piece with { Text = text[done..start], AtStart = piece.AtStart && done == 0 });
            if (end > start)
                yield return (found, default);
            done = end;
        }
        if (done < text.Length)
            yield return (null, piece with { Text = text[done..], AtStart = piece.AtStart && done == 0 });
    }

    private static bool EndsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out Rune rune, out _) == OperationStatus.Done
        && CharacterSets.Word.Contains(rune.Value);

    private static bool StartsWithWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out Rune rune, out _) == OperationStatus.Done
        && CharacterSets.Word.Contains(rune.Value);
}
