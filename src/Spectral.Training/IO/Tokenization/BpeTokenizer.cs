using System.Text;
using System.Text.Json;

namespace Spectral.Training;

/// <summary>
/// A byte-pair tokenizer from a Hugging Face <c>tokenizer.json</c>: byte-level BPE with the split pattern the file gives (GPT-2,
/// Llama 3, Qwen2 and the like) and byte-fallback BPE (Llama 2, Mistral). Other kinds of tokenizer are refused by name. Safe to use
/// from several threads.
/// </summary>
public sealed class BpeTokenizer
{
    private const string FileName = "tokenizer.json";
    private const long MaximumBytes = 256 << 20;
    private const int MaximumSteps = 64;

    private readonly BpeModel model;
    private readonly AddedTokens added;
    private readonly Func<TextPiece, IEnumerable<TextPiece>> preTokenizer;
    private readonly PostProcessor postProcessor;
    private readonly Func<List<string>, List<string>> decoder;
    private readonly Dictionary<int, string> tokens = [];
    private readonly HashSet<int> special = [];

    private BpeTokenizer(JsonFields root, string file)
    {
        foreach (string chain in (string[])["normalizer", "pre_tokenizer", "decoder"])
            CheckSteps(root, chain);
        model = BpeModel.Read(root, file);
        Func<string, string> normalizer = TextNormalizer.Read(root.Object("normalizer"), $"{file}: normalizer");
        preTokenizer = PreTokenizer.Read(root.Object("pre_tokenizer"), $"{file}: pre_tokenizer");
        postProcessor = PostProcessor.Read(root.Object("post_processor"));
        decoder = TokenDecoder.Read(root.Object("decoder"), $"{file}: decoder");
        foreach ((string token, int id) in model.Vocabulary)
            tokens.Add(id, token);
        List<AddedToken> addedTokens = [.. root.Objects("added_tokens").Select(ReadAdded)];
        added = new AddedTokens(addedTokens, normalizer);
        foreach (AddedToken token in addedTokens)
        {
            if (tokens.TryGetValue(token.Id, out string? other) && other != token.Content)
                throw new InputException($"{file}: added token {InputText.Quote(token.Content)} has the id {token.Id}, which "
                    + $"{InputText.Quote(other)} has");
            tokens[token.Id] = token.Content;
            if (token.Special)
                special.Add(token.Id);
        }
        if (tokens.Count == 0)
            throw new InputException($"{file}: model.vocab is empty, expected at least one token");
        VocabularySize = tokens.Keys.Max() + 1;
        if (postProcessor.Prefix.Concat(postProcessor.Suffix).FirstOrDefault(id => !tokens.ContainsKey(id), -1) is >= 0 and var unknown)
            throw new InputException($"{file}: post_processor adds the id {unknown}, which no token has");
    }

    /// <summary>The highest id plus one: a model's embedding needs at least as many rows.</summary>
    public int VocabularySize { get; }

    /// <summary>The ids that the post-processor puts before a text, such as the begin token of Llama; often empty.</summary>
    public IReadOnlyList<int> PrefixIds => postProcessor.Prefix;

    /// <summary>The ids that the post-processor puts after a text; nearly always empty.</summary>
    public IReadOnlyList<int> SuffixIds => postProcessor.Suffix;

    /// <summary>Reads <c>tokenizer.json</c> of a model folder.</summary>
    /// <exception cref="InputException">There is none, it is malformed, or it is of a kind that is not supported.</exception>
    public static BpeTokenizer Load(string directory)
    {
        FolderFile.RequireFolder(directory, $"model folder with {FileName}");
        string path = FolderFile.At(directory, FileName);
        if (!File.Exists(path))
            throw new InputException(File.Exists(Path.Combine(directory, "tokenizer.model"))
                ? $"{directory}: only a SentencePiece tokenizer.model, expected {FileName} (save the tokenizer in its fast form)"
                : $"{directory}: no tokenizer, expected {FileName}");
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        return new BpeTokenizer(new JsonFields(document.RootElement, path), path);
    }

    /// <summary>
    /// The token ids of a text, with the post-processor's ids around them if asked for. Special tokens written in the text become their
    /// ids. Halves of surrogate pairs count as U+FFFD.
    /// </summary>
    public int[] Encode(string text, bool addSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<int> ids = [];
        BpeMerger merger = model.NewMerger();
        if (addSpecialTokens)
            ids.AddRange(postProcessor.Prefix);
        foreach ((AddedToken? token, TextPiece piece) in added.Split(WellFormed(text)))
        {
            if (token is not null)
            {
                ids.Add(token.Id);
                continue;
            }
            foreach (TextPiece part in preTokenizer(piece))
                model.Encode(part.Text, merger, ids);
        }
        if (addSpecialTokens)
            ids.AddRange(postProcessor.Suffix);
        return [.. ids];
    }

    /// <summary>The text of token ids. Ids without a token are skipped, special tokens if asked for.</summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true)
    {
        List<string> texts = new(ids.Length);
        foreach (int id in ids)
        {
            if (tokens.TryGetValue(id, out string? token) && !(skipSpecialTokens && special.Contains(id)))
                texts.Add(token);
        }
        return string.Concat(decoder(texts));
    }

    /// <summary>The token of an id as the vocabulary writes it; null when there is none.</summary>
    public string? TokenOf(int id) => tokens.GetValueOrDefault(id);

    /// <summary>Whether an id is a special token.</summary>
    public bool IsSpecial(int id) => special.Contains(id);

    // Each step may make a text longer, up to a limit, and none takes less time than reading it: a file could hold millions.
    private static void CheckSteps(JsonFields root, string chain)
    {
        if (root.Object(chain) is { } steps && Objects(steps.Element) > MaximumSteps)
            throw root.Wrong(chain, $"at most {MaximumSteps} steps");

        static int Objects(JsonElement element) => element.ValueKind switch
        {
            JsonValueKind.Object => 1 + element.EnumerateObject().Sum(property => Objects(property.Value)),
            JsonValueKind.Array => element.EnumerateArray().Sum(Objects),
            _ => 0,
        };
    }

    private static AddedToken ReadAdded(JsonFields fields)
    {
        // At each place of a text that begins like it, so many characters are compared.
        const int Longest = 1024;
        bool isSpecial = fields.Boolean("special") ?? false;
        if (fields.RequiredText("content").Length > Longest)
            throw fields.Wrong("content", $"at most {Longest} characters");
        return new AddedToken(fields.RequiredInteger("id", 0, BpeModel.LargestId), fields.RequiredText("content"),
            fields.Boolean("single_word") ?? false, fields.Boolean("lstrip") ?? false, fields.Boolean("rstrip") ?? false,
            fields.Boolean("normalized") ?? !isSpecial, isSpecial);
    }

    private static string WellFormed(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
            return text;
        StringBuilder builder = new(text.Length);
        Span<char> units = stackalloc char[2];
        foreach (Rune rune in text.EnumerateRunes())
            builder.Append(units[..rune.EncodeToUtf16(units)]);
        return builder.ToString();
    }
}
