using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>A model of type BPE: a vocabulary, and merges in order of precedence.</summary>
internal sealed class BpeModel : TokenModel
{
    private const int LongestAffix = 64;

    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly PairTable _merges = new();
    private readonly PieceCache _cache = new();
    private readonly int[] _characters = new int[char.MaxValue + 1];
    private readonly MergeBoundaries? _boundaries;
    private readonly int[] _byteTokens = new int[256];
    private readonly string _continuingPrefix;
    private readonly string _wordSuffix;
    private readonly int? _unknown;
    private readonly bool _byteFallback;
    private readonly bool _fuseUnknown;
    private readonly bool _ignoreMerges;

    /// <summary>Reads vocabulary, merges and byte tokens from the <c>model</c> of a tokenizer.json.</summary>
    public BpeModel(JsonFields fields, string file)
        : base(fields, file)
    {
        _lookup = Vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        if (fields.Number("dropout", 0, 1) is > 0)
            throw fields.Wrong("dropout", "null: merges are never dropped here");
        _continuingPrefix = Affix(fields, "continuing_subword_prefix");
        _wordSuffix = Affix(fields, "end_of_word_suffix");
        _fuseUnknown = fields.Boolean("fuse_unk") ?? false;
        _ignoreMerges = fields.Boolean("ignore_merges") ?? false;
        // With an affix, or if whole pieces are looked up, the parts of a piece are not independent.
        if (_continuingPrefix.Length == 0 && _wordSuffix.Length == 0 && !_ignoreMerges)
            _boundaries = new MergeBoundaries(_characters);
        Array.Fill(_characters, -1);
        foreach ((string token, int id) in Vocabulary.Where(entry => entry.Key.Length == 1))
            _characters[token[0]] = id;
        ReadMerges(fields.Array("merges") ?? throw fields.Wrong("merges", "an array of merges"), file);
        if (fields.Text("unk_token") is { } text)
        {
            _unknown = Vocabulary.TryGetValue(text, out int id)
                ? id
                : throw fields.Wrong("unk_token", "a token of the vocabulary");
        }
        _byteFallback = fields.Boolean("byte_fallback") ?? false;
        for (int value = 0; value < 256; value++)
            _byteTokens[value] = _byteFallback ? Vocabulary.GetValueOrDefault($"<0x{value:X2}>", -1) : -1;
    }

    // An affix can be added to every character of a text, so its length is limited.
    private static string Affix(JsonFields fields, string key)
    {
        string text = fields.Text(key) ?? "";
        return text.Length <= LongestAffix ? text : throw fields.Wrong(key, $"at most {LongestAffix} characters");
    }

    /// <inheritdoc/>
    public override BpeMerger NewMerger() => new(_merges);

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> piece, bool inBytes, BpeMerger? merger, List<int> ids)
    {
        ArgumentNullException.ThrowIfNull(merger);
        if (piece.Length <= PieceCache.LongestPiece)
        {
            EncodeShort(piece, inBytes, merger, ids);
            return;
        }
        if (inBytes || _boundaries is null)
        {
            Merge(inBytes ? ByteAlphabet.Encode(piece) : piece, merger, ids);
            return;
        }
        for (int start = 0, end; start < piece.Length; start = end)
        {
            end = _boundaries.Next(piece, start);
            if (end - start <= PieceCache.LongestPiece)
                EncodeShort(piece[start..end], inBytes, merger, ids);
            else
                Merge(piece[start..end], merger, ids);
        }
    }

    private void EncodeShort(ReadOnlySpan<char> piece, bool inBytes, BpeMerger merger, List<int> ids)
    {
        if (_cache.TryAppend(piece, ids))
            return;
        int before = ids.Count;
        Merge(inBytes ? ByteAlphabet.Encode(piece) : piece, merger, ids);
        _cache.Set(piece, CollectionsMarshal.AsSpan(ids)[before..]);
    }

    private void Merge(ReadOnlySpan<char> piece, BpeMerger merger, List<int> ids)
    {
        if (_ignoreMerges && _lookup.TryGetValue(piece, out int whole))
        {
            ids.Add(whole);
            return;
        }
        AddSymbols(piece, merger);
        merger.Run(ids);
    }

    // An unknown token is added only before the next known one, even if bytes come in between: the Rust core puts it
    // after them.
    private void AddSymbols(ReadOnlySpan<char> piece, BpeMerger merger)
    {
        bool waiting = false;
        for (int at = 0, end; at < piece.Length; at = end)
        {
            Rune.DecodeFromUtf16(piece[at..], out _, out int length);
            end = at + length;
            int id = Symbol(piece, at, end);
            if (id < 0 && AddBytes(piece, at, end, merger))
                continue;
            if (waiting && !(id < 0 && _fuseUnknown))
                merger.Add(_unknown!.Value);
            if (id >= 0)
                merger.Add(id);
            waiting = id < 0 && _unknown is not null;
        }
        if (waiting)
            merger.Add(_unknown!.Value);
    }

    // Returns the token of one character, with the affixes that its place in the piece requires; negative if there is
    // none.
    private int Symbol(ReadOnlySpan<char> piece, int start, int end)
    {
        if (IsAffixed(piece, start, end))
            return Vocabulary.GetValueOrDefault(Affixed(piece, start, end), -1);
        if (end - start == 1)
            return _characters[piece[start]];
        return _lookup.TryGetValue(piece[start..end], out int id) ? id : -1;
    }

    private bool IsAffixed(ReadOnlySpan<char> piece, int start, int end) =>
        (start > 0 && _continuingPrefix.Length > 0) || (end == piece.Length && _wordSuffix.Length > 0);

    private string Affixed(ReadOnlySpan<char> piece, int start, int end) =>
        $"{(start == 0 ? "" : _continuingPrefix)}{piece[start..end]}{(end < piece.Length ? "" : _wordSuffix)}";

    // Adds all bytes of the character and its affixes as tokens, or none if one of them is not a token.
    private bool AddBytes(ReadOnlySpan<char> piece, int start, int end, BpeMerger merger)
    {
        if (!_byteFallback)
            return false;
        ReadOnlySpan<char> text = IsAffixed(piece, start, end) ? Affixed(piece, start, end) : piece[start..end];
        Span<byte> utf8 = stackalloc byte[Encoding.UTF8.GetMaxByteCount((2 * LongestAffix) + 2)];
        utf8 = utf8[..Encoding.UTF8.GetBytes(text, utf8)];
        foreach (byte value in utf8)
        {
            if (_byteTokens[value] < 0)
                return false;
        }
        foreach (byte value in utf8)
            merger.Add(_byteTokens[value]);
        return true;
    }

    private void ReadMerges(JsonElement list, string file)
    {
        int rank = 0;
        foreach (JsonElement entry in list.EnumerateArray())
        {
            (string left, string right) = Parts(entry) ?? throw Wrong("is no pair, expected \"a b\" or [\"a\", \"b\"]");
            if (!right.StartsWith(_continuingPrefix, StringComparison.Ordinal))
            {
                throw Wrong(
                    $"joins {InputText.Quote(right)}, which does not begin with {InputText.Quote(_continuingPrefix)}"
                );
            }
            _merges.Set(Id(left), Id(right), PairTable.Merge(rank, Id(left + right[_continuingPrefix.Length..])));
            _boundaries?.Add(left, right);
            rank++;
        }
        _boundaries?.Complete();

        int Id(string token) =>
            Vocabulary.TryGetValue(token, out int id)
                ? id
                : throw Wrong($"needs the token {InputText.Quote(token)}, which model.vocab lacks");

        InputException Wrong(string what) => new($"{file}: model.merges[{rank}] {what}");
    }

    private static (string Left, string Right)? Parts(JsonElement entry)
    {
        if (
            entry.ValueKind == JsonValueKind.Array
            && entry.GetArrayLength() == 2
            && entry[0].ValueKind == JsonValueKind.String
            && entry[1].ValueKind == JsonValueKind.String
        )
        {
            return (entry[0].GetString()!, entry[1].GetString()!);
        }

        if (entry.ValueKind == JsonValueKind.String && entry.GetString()!.Split(' ') is { Length: 2 } parts)
            return (parts[0], parts[1]);
        return null;
    }
}
