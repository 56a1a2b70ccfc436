using System.Text;
using System.Text.Json;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>
/// A tokenizer from a Hugging Face <c>tokenizer.json</c>: byte-level BPE with the split pattern of the file (GPT-2,
/// Llama 3, Qwen2 and the like), byte-fallback BPE (Llama 2, Mistral), and WordPiece (BERT). Other kinds of tokenizers
/// are refused by name. It is thread-safe.
/// </summary>
/// <example>
/// <code>
/// var tokenizer = BpeTokenizer.Load(modelPath);
/// int[] ids = tokenizer.Encode("one two three");
/// string text = tokenizer.Decode(ids); // "one two three"
/// </code>
/// </example>
public sealed class BpeTokenizer
{
    private const string FileName = "tokenizer.json";
    private const long MaximumBytes = 256 << 20;
    private const int MaximumSteps = 64;

    private readonly TokenModel _model;
    private readonly AddedTokens _added;
    private readonly PieceStep _preTokenizer;
    private readonly PostProcessor _postProcessor;
    private readonly Func<List<string>, List<string>> _decoder;
    private readonly Dictionary<int, string> _tokens = [];
    private readonly Dictionary<int, string> _spelled = [];
    private readonly HashSet<int> _special = [];
    private readonly Dictionary<int, AddedToken> _addedById = [];
    private readonly Dictionary<string, int> _roles = [];

    private BpeTokenizer(JsonFields root, string file, TokenizerCompanions companions)
    {
        foreach (string chain in (string[])["normalizer", "pre_tokenizer", "decoder"])
            CheckSteps(root, chain);
        _model = TokenModel.Read(root, file);
        NormalizerStep normalizer = TextNormalizer.Read(root.Object("normalizer"), $"{file}: normalizer");
        _preTokenizer = PreTokenizer.Read(
            root.Object("pre_tokenizer"),
            $"{file}: pre_tokenizer",
            (piece, _, run) => _model.Encode(piece, inBytes: false, run.Merger, run.Ids),
            (piece, _, run) => _model.Encode(piece, inBytes: true, run.Merger, run.Ids)
        );
        PreTokenizer.CheckStart(root);
        _decoder = TokenDecoder.Read(root.Object("decoder"), $"{file}: decoder");
        foreach ((string token, int id) in _model.Vocabulary)
            _tokens.Add(id, token);
        AddedTokenList addedTokens = new(_model.Vocabulary, companions.Warnings);
        addedTokens.Add(
            root.Objects("added_tokens")
                .Select(fields => AddedToken.Read(fields, fields.RequiredInteger("id", 0, TokenModel.LargestId))),
            file,
            replaces: true
        );
        companions.Complete(addedTokens);
        _added = new AddedTokens(addedTokens.Tokens, normalizer);
        foreach (AddedToken token in addedTokens.Tokens)
        {
            if (_tokens.TryGetValue(token.Id, out string? other) && other != token.Content)
            {
                throw new InputException(
                    $"{file}: added token {InputText.Quote(token.Content)} takes the next id, "
                        + $"{token.Id}, which {InputText.Quote(other)} has: expected a model.vocab without gaps"
                );
            }
            _tokens[token.Id] = token.Content;
            _addedById[token.Id] = token;
            if (token.Special)
                _special.Add(token.Id);
            if (token.Normalized && normalizer(token.Content, goesOn: false) is var text && text != token.Content)
                _spelled[token.Id] = text;
        }
        if (_tokens.Count == 0)
            throw new InputException($"{file}: model.vocab is empty, expected at least one token");
        VocabularySize = _tokens.Keys.Max() + 1;
        EndToken = companions.EndToken is { } ends && IdOf(ends.Content) is { } end ? (end, ends.File) : null;
        foreach (string role in TokenizerCompanions.NamedKeys)
        {
            if (IdOf(companions.Named(role)) is { } id)
                _roles.Add(role, id);
        }
        var own = PostProcessor.Read(root.Object("post_processor"));
        _postProcessor = companions.BeginEnd.Apply(
            own,
            IdOf(companions.Named("bos_token")),
            EndToken?.Id,
            companions.Warnings
        );
        companions.ComparePrefixSpace(root.Object("normalizer"), root.Object("pre_tokenizer"));
        Warnings = companions.Warnings;
        IEnumerable<int> around = _postProcessor.Prefix.Concat(_postProcessor.Suffix);
        if (around.FirstOrDefault(id => !_tokens.ContainsKey(id), -1) is >= 0 and var unknown)
            throw new InputException($"{file}: post_processor adds the id {unknown}, which no token has");
    }

    /// <summary>The highest id plus one. A model's embedding needs at least as many rows.</summary>
    public int VocabularySize { get; }

    /// <summary>
    /// The warnings about things in the tokenizer's files that are unusual or contradict each other, one line each.
    /// </summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>The end token that the tokenizer's files name, and the file; null if none does.</summary>
    internal (int Id, string File)? EndToken { get; }

    /// <summary>The tokens that are found whole in a text, before merges.</summary>
    internal IReadOnlyCollection<AddedToken> Added => _addedById.Values;

    /// <summary>The ids of the tokens with a role, by the keys of the tokenizer's files, such as bos_token.</summary>
    internal IReadOnlyDictionary<string, int> Roles => _roles;

    /// <summary>
    /// The ids that the post-processor puts before a text, such as the begin token of Llama; often empty.
    /// </summary>
    public IReadOnlyList<int> PrefixIds => _postProcessor.Prefix;

    /// <summary>The ids that the post-processor puts after a text; nearly always empty.</summary>
    public IReadOnlyList<int> SuffixIds => _postProcessor.Suffix;

    /// <summary>The ids that the post-processor puts around a text, and around and between two.</summary>
    internal PostProcessor Around => _postProcessor;

    /// <summary>Reads <c>tokenizer.json</c> of a model folder, and the files beside it that complete it.</summary>
    /// <exception cref="InputException">There is none, it is malformed, or its kind is not supported.</exception>
    public static BpeTokenizer Load(string directory)
    {
        FolderFile.RequireFolder(directory, $"model folder with {FileName}");
        string path = FolderFile.At(directory, FileName);
        if (!File.Exists(path))
        {
            throw new InputException(
                File.Exists(Path.Combine(directory, "tokenizer.model"))
                    ? $"{directory}: only a SentencePiece tokenizer.model, expected {FileName} (save the "
                        + "tokenizer in its fast form)"
                    : $"{directory}: no tokenizer, expected {FileName}"
            );
        }

        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        return new BpeTokenizer(new JsonFields(document.RootElement, path), path, TokenizerCompanions.Read(directory));
    }

    /// <summary>
    /// Encodes a text as token ids, by default with the ids that the post-processor puts around it. Special tokens
    /// written in the text become their ids. Unpaired surrogates become U+FFFD.
    /// </summary>
    /// <param name="text">The text to encode.</param>
    /// <param name="addSpecialTokens">Whether to add the post-processor's ids.</param>
    public int[] Encode(string text, bool addSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<int> ids = [];
        if (addSpecialTokens)
            ids.AddRange(_postProcessor.Prefix);
        Encode(WellFormed(text), atStart: true, goesOn: false, ids);
        if (addSpecialTokens)
            ids.AddRange(_postProcessor.Suffix);
        return [.. ids];
    }

    /// <summary>
    /// Encodes a text that is to be continued. This is like <see cref="Encode(string, bool)"/>, but without the
    /// post-processor's suffix, and without its prefix if the text already begins with it.
    /// </summary>
    public int[] EncodePrompt(string text)
    {
        int[] ids = Encode(text, addSpecialTokens: false);
        return ids.AsSpan().StartsWith([.. PrefixIds]) ? ids : [.. PrefixIds, .. ids];
    }

    /// <summary>
    /// Encodes a text that continues others. The ids are those that it has in the joined text, except that no token
    /// crosses the border. What a tokenizer puts at the beginning of a text, such as a space, is not added.
    /// </summary>
    /// <param name="text">The text to encode.</param>
    /// <param name="before">The ids of the text before it; if empty, this text is not a continuation.</param>
    public int[] EncodeContinuation(string text, ReadOnlySpan<int> before)
    {
        if (before.Length == 0)
            return Encode(text, addSpecialTokens: false);
        List<int> ids = [];
        text = WellFormed(text);
        // After an added token a new stretch begins, as it does in the middle of a text.
        if (_addedById.TryGetValue(before[^1], out AddedToken? token))
            Encode(token.StripRight ? text.TrimStart() : text, atStart: false, goesOn: false, ids);
        else
            Encode(text, atStart: true, goesOn: true, ids);
        return [.. ids];
    }

    /// <summary>
    /// Decodes token ids to text. Ids without a token are skipped, and by default special tokens too. An added token
    /// that is searched for in normalized text appears in its normalized form, and is not skipped if that form differs.
    /// </summary>
    /// <param name="ids">The token ids.</param>
    /// <param name="skipSpecialTokens">Whether to skip special tokens.</param>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true)
    {
        List<string> texts = new(ids.Length);
        foreach (int id in ids)
        {
            if (
                _spelled.TryGetValue(id, out string? token)
                || (_tokens.TryGetValue(id, out token) && !(skipSpecialTokens && _special.Contains(id)))
            )
            {
                texts.Add(token);
            }
        }
        return string.Concat(_decoder(texts));
    }

    /// <summary>Returns the token of an id as the vocabulary writes it; null if there is none.</summary>
    public string? TokenOf(int id) => _tokens.GetValueOrDefault(id);

    /// <summary>Returns whether an id is a special token.</summary>
    public bool IsSpecial(int id) => _special.Contains(id);

    // Steps that put something at the beginning do so only where a text begins, so that a completion does not start
    // with a space that nobody wrote.
    private void Encode(string text, bool atStart, bool goesOn, List<int> ids)
    {
        EncodingRun run = new(new GrowthBudget(text.Length), _model.NewMerger(), ids, goesOn);
        foreach ((AddedToken? token, TextPiece piece) in _added.Split(text, run.Budget, atStart, goesOn))
        {
            if (token is not null)
                ids.Add(token.Id);
            else
                _preTokenizer(piece.Text, piece.AtStart, run);
        }
    }

    /// <summary>Returns the id of a token; null: there is none, or none is named.</summary>
    internal int? IdOf(string? content)
    {
        if (content is null)
            return null;
        if (_addedById.Values.FirstOrDefault(token => token.Content == content) is { } token)
            return token.Id;
        return _model.Vocabulary.TryGetValue(content, out int id) ? id : null;
    }

    // Each step may lengthen a text, up to a limit, and takes at least the time to read it. A file could have millions
    // of steps.
    private static void CheckSteps(JsonFields root, string chain)
    {
        if (root.Object(chain) is { } steps && Objects(steps.Element) > MaximumSteps)
            throw root.Wrong(chain, $"at most {MaximumSteps} steps");

        static int Objects(JsonElement element) =>
            element.ValueKind switch
            {
                JsonValueKind.Object => 1 + element.EnumerateObject().Sum(property => Objects(property.Value)),
                JsonValueKind.Array => element.EnumerateArray().Sum(Objects),
                _ => 0,
            };
    }

    private static string WellFormed(string text)
    {
        if (!HasHalfPair(text))
            return text;
        StringBuilder builder = new(text.Length);
        Span<char> units = stackalloc char[2];
        foreach (Rune rune in text.EnumerateRunes())
            builder.Append(units[..rune.EncodeToUtf16(units)]);
        return builder.ToString();
    }

    // Texts rarely contain surrogates, and then only whole pairs. Such texts are not copied.
    private static bool HasHalfPair(ReadOnlySpan<char> text)
    {
        while (text.IndexOfAnyInRange('\uD800', '\uDFFF') is >= 0 and var at)
        {
            if (at + 1 == text.Length || !char.IsSurrogatePair(text[at], text[at + 1]))
                return true;
            text = text[(at + 2)..];
        }
        return false;
    }
}
