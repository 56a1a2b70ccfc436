using System.Text;
using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>
/// A model of type WordPiece, of BERT (Devlin et al., 2019): a word is the longest token that it begins with, then the
/// longest that goes on, until it ends. A word for which that fails is unknown as a whole.
/// </summary>
internal sealed class WordPieceModel : TokenModel
{
    private const int LongestAffix = 64;
    private const int MostCharacters = 1 << 16;

    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly string _prefix;
    private readonly int _unknown;
    private readonly int _most;
    private readonly int _longest;

    /// <summary>Reads vocabulary and limits from the <c>model</c> of a tokenizer.json.</summary>
    public WordPieceModel(JsonFields fields, string file)
        : base(fields, file)
    {
        _lookup = Vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        _prefix = fields.Text("continuing_subword_prefix") ?? "##";
        if (_prefix.Length > LongestAffix)
            throw fields.Wrong("continuing_subword_prefix", $"at most {LongestAffix} characters");
        _most = fields.Integer("max_input_chars_per_word", 1, MostCharacters) ?? 100;
        _unknown = Vocabulary.TryGetValue(fields.Text("unk_token") ?? "[UNK]", out int unknown)
            ? unknown
            : throw fields.Wrong("unk_token", "a token of the vocabulary");
        _longest = Vocabulary.Keys.Max(token => token.Length);
    }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> piece, bool inBytes, BpeMerger? merger, List<int> ids)
    {
        ReadOnlySpan<char> word = inBytes ? ByteAlphabet.Encode(piece) : piece;
        if (Characters(word) > _most)
        {
            ids.Add(_unknown);
            return;
        }

        int before = ids.Count;
        Span<char> buffer = stackalloc char[LongestAffix + 2 * Math.Min(_most, 256)];
        for (int start = 0; start < word.Length; )
        {
            int end = Longest(word, start, buffer, out int id);
            if (end == start)
            {
                ids.RemoveRange(before, ids.Count - before);
                ids.Add(_unknown);
                return;
            }

            ids.Add(id);
            start = end;
        }
    }

    private static int Characters(ReadOnlySpan<char> text)
    {
        int count = 0;
        foreach (Rune _ in text.EnumerateRunes())
            count++;
        return count;
    }

    /// <summary>Returns where the longest token from a place on ends; the place itself if there is none.</summary>
    private int Longest(ReadOnlySpan<char> word, int start, Span<char> buffer, out int id)
    {
        int added = start == 0 ? 0 : _prefix.Length;
        int longest = Math.Min(word.Length - start, _longest - added);
        if (added + longest > buffer.Length)
            buffer = new char[added + longest];
        _prefix.AsSpan(0, added).CopyTo(buffer);
        if (longest > 0)
            word.Slice(start, longest).CopyTo(buffer[added..]);
        for (int length = longest; length > 0; length--)
        {
            if (_lookup.TryGetValue(buffer[..(added + length)], out id))
                return start + length;
        }

        id = -1;
        return start;
    }
}
