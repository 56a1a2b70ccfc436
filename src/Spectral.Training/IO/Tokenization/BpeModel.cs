using System.Text;
using System.Text.Json;

namespace Spectral.Training;

/// <summary>The <c>model</c> of a tokenizer file of type BPE: a vocabulary, and merges in the order in which they are tried.</summary>
internal sealed class BpeModel
{
    /// <summary>No real vocabulary comes near it.</summary>
    public const int LargestId = (1 << 24) - 1;

    private readonly Dictionary<string, int> vocabulary = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup;
    private readonly Dictionary<long, (int Rank, int Id)> merges = [];
    private readonly int[] byteTokens = new int[256];
    private readonly string continuingPrefix;
    private readonly string wordSuffix;
    private readonly int? unknown;
    private readonly bool fuseUnknown;
    private readonly bool ignoreMerges;

    private BpeModel(JsonFields fields, string file)
    {
        lookup = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        if (fields.Number("dropout", 0, 1) is > 0)
            throw fields.Wrong("dropout", "null: merges are never dropped here");
        continuingPrefix = Affix(fields, "continuing_subword_prefix");
        wordSuffix = Affix(fields, "end_of_word_suffix");
        fuseUnknown = fields.Boolean("fuse_unk") ?? false;
        ignoreMerges = fields.Boolean("ignore_merges") ?? false;
        ReadVocabulary(fields.Object("vocab") ?? throw fields.Wrong("vocab", "an object that maps tokens to ids"), file);
        ReadMerges(fields.Array("merges") ?? throw fields.Wrong("merges", "an array of merges"), file);
        if (fields.Text("unk_token") is { } text)
            unknown = vocabulary.TryGetValue(text, out int id) ? id : throw fields.Wrong("unk_token", "a token of the vocabulary");
        bool byteFallback = fields.Boolean("byte_fallback") ?? false;
        for (int value = 0; value < 256; value++)
            byteTokens[value] = byteFallback ? vocabulary.GetValueOrDefault($"<0x{value:X2}>", -1) : -1;
    }

    public IReadOnlyDictionary<string, int> Vocabulary => vocabulary;

    /// <summary>Reads the model; another type than BPE is refused by its name.</summary>
    public static BpeModel Read(JsonFields root, string file)
    {
        JsonFields fields = root.Object("model") ?? throw root.Wrong("model", "an object of type BPE");
        // Old files leave the type out; a model with merges can only be BPE.
        if (fields.Text("type") is var type && type != "BPE" && !(type is null && fields.Has("merges")))
            throw fields.Wrong("type", "BPE (no other kind of tokenizer is supported)");
        return new BpeModel(fields, file);
    }

    // Put at each character of a text.
    private static string Affix(JsonFields fields, string key)
    {
        const int Longest = 64;
        string text = fields.Text(key) ?? "";
        return text.Length <= Longest ? text : throw fields.Wrong(key, $"at most {Longest} characters");
    }

    /// <summary>Appends the ids of one piece, which merges do not cross.</summary>
    public void Encode(string piece, Merger merger, List<int> ids)
    {
        if (ignoreMerges && vocabulary.TryGetValue(piece, out int whole))
        {
            ids.Add(whole);
            return;
        }
        merger.Clear();
        AddSymbols(piece, merger);
        merger.Run(merges, ids);
    }

    private void AddSymbols(string piece, Merger merger)
    {
        bool lastUnknown = false;
        for (int at = 0; at < piece.Length;)
        {
            Rune.DecodeFromUtf16(piece.AsSpan(at), out Rune rune, out int length);
            bool first = at == 0;
            at += length;
            bool found = (first || continuingPrefix.Length == 0) && (at < piece.Length || wordSuffix.Length == 0)
                ? lookup.TryGetValue(piece.AsSpan(at - length, length), out int id)
                : vocabulary.TryGetValue($"{(first ? "" : continuingPrefix)}{rune}{(at < piece.Length ? "" : wordSuffix)}", out id);
            if (found)
                merger.Add(id);
            else if (AddBytes(rune, merger))
                found = true;
            else if (unknown is { } unknownId && !(lastUnknown && fuseUnknown))
                merger.Add(unknownId);
            lastUnknown = !found;
        }
    }

    // All bytes of the character as tokens, or none.
    private bool AddBytes(Rune rune, Merger merger)
    {
        Span<byte> utf8 = stackalloc byte[4];
        utf8 = utf8[..rune.EncodeToUtf8(utf8)];
        foreach (byte value in utf8)
        {
            if (byteTokens[value] < 0)
                return false;
        }
        foreach (byte value in utf8)
            merger.Add(byteTokens[value]);
        return true;
    }

    private void ReadVocabulary(JsonFields vocab, string file)
    {
        HashSet<int> ids = [];
        foreach (JsonProperty entry in vocab.Element.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out int id) || id < 0 || id > LargestId)
                throw new InputException($"{file}: model.vocab gives {InputText.Quote(entry.Name)} no id from 0 to {LargestId}");
            if (!ids.Add(id))
                throw new InputException($"{file}: model.vocab gives {InputText.Quote(entry.Name)} the id {id}, which another token has");
            vocabulary.Add(entry.Name, id);
        }
    }

    private void ReadMerges(JsonElement list, string file)
    {
        int rank = 0;
        foreach (JsonElement entry in list.EnumerateArray())
        {
            (string left, string right) = Parts(entry)
                ?? throw new InputException($"{file}: model.merges[{rank}] is no pair, expected \"a b\" or [\"a\", \"b\"]");
            string tail = right.StartsWith(continuingPrefix, StringComparison.Ordinal) ? right[continuingPrefix.Length..] : right;
            string merged = left + tail;
            foreach (string token in (ReadOnlySpan<string>)[left, right, merged])
            {
                if (!vocabulary.ContainsKey(token))
                    throw new InputException($"{file}: model.merges[{rank}] needs the token {InputText.Quote(token)}, which "
                        + "model.vocab lacks");
            }
            merges[Merger.Key(vocabulary[left], vocabulary[right])] = (rank++, vocabulary[merged]);
        }
    }

    private static (string Left, string Right)? Parts(JsonElement entry)
    {
        if (entry.ValueKind == JsonValueKind.Array && entry.GetArrayLength() == 2
            && entry[0].ValueKind == JsonValueKind.String && entry[1].ValueKind == JsonValueKind.String)
            return (entry[0].GetString()!, entry[1].GetString()!);
        if (entry.ValueKind == JsonValueKind.String && entry.GetString()!.Split(' ') is { Length: 2 } parts)
            return (parts[0], parts[1]);
        return null;
    }

    /// <summary>
    /// Merges the symbols of one piece: always the pair of lowest rank, the leftmost of equals. A linked list and a heap of candidate
    /// places keep a piece of n symbols at O(n log n); candidates that a merge has overtaken are recognised when they come up.
    /// </summary>
    public sealed class Merger
    {
        private readonly List<int> symbols = [];
        private readonly List<int> previous = [];
        private readonly List<int> next = [];
        private readonly PriorityQueue<int, long> candidates = new();

        public static long Key(int left, int right) => ((long)left << 32) | (uint)right;

        public void Clear()
        {
            symbols.Clear();
            previous.Clear();
            next.Clear();
            candidates.Clear();
        }

        public void Add(int symbol)
        {
            previous.Add(symbols.Count - 1);
            next.Add(symbols.Count + 1);
            symbols.Add(symbol);
        }

        public void Run(Dictionary<long, (int Rank, int Id)> merges, List<int> ids)
        {
            for (int at = 0; at + 1 < symbols.Count; at++)
                Offer(merges, at);
            while (candidates.TryDequeue(out int at, out long priority))
            {
                if (symbols[at] < 0 || next[at] >= symbols.Count)
                    continue;
                int right = next[at];
                if (!merges.TryGetValue(Key(symbols[at], symbols[right]), out (int Rank, int Id) merge)
                    || merge.Rank != (int)(priority >> 32))
                    continue;
                symbols[at] = merge.Id;
                symbols[right] = -1;
                next[at] = next[right];
                if (next[at] < symbols.Count)
                {
                    previous[next[at]] = at;
                    Offer(merges, at);
                }
                if (previous[at] >= 0)
                    Offer(merges, previous[at]);
            }
            for (int at = 0; at < symbols.Count; at = next[at])
                ids.Add(symbols[at]);
        }

        private void Offer(Dictionary<long, (int Rank, int Id)> merges, int at)
        {
            if (merges.TryGetValue(Key(symbols[at], symbols[next[at]]), out (int Rank, int Id) merge))
                candidates.Enqueue(at, ((long)merge.Rank << 32) | (uint)at);
        }
    }
}
