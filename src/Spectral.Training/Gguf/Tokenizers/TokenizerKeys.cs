using System.Text.Json;
using Spectral.Training.Chat;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Gguf.Tokenizers;

/// <summary>
/// Describes a model's tokenizer as llama.cpp reads it: byte-level BPE as its <c>gpt2</c>, BPE with bytes for what the
/// vocabulary lacks as its <c>llama</c>, which is SentencePiece's.
/// </summary>
internal sealed class TokenizerKeys
{
    private const string Prefix = "tokenizer.ggml.";
    private const string FileName = "tokenizer.json";
    private const long MaximumBytes = 256 << 20;

    private readonly string _directory;
    private readonly ModelConfig _config;
    private readonly BpeTokenizer _tokenizer;
    private readonly GgufMetadata _metadata;
    private readonly List<string> _warnings;
    private int? _unknown;

    private TokenizerKeys(string directory, ModelConfig config, GgufMetadata metadata, List<string> warnings)
    {
        (_directory, _config, _metadata, _warnings) = (directory, config, metadata, warnings);
        _tokenizer = BpeTokenizer.Load(directory);
        if (_tokenizer.VocabularySize > config.VocabularySize)
        {
            throw new InputException(
                $"{directory}: {FileName} has ids up to {_tokenizer.VocabularySize - 1}, expected less than "
                    + $"{config.VocabularySize}, the rows of the embedding"
            );
        }
    }

    /// <summary>Adds the tokenizer of a model folder to a file's metadata.</summary>
    /// <param name="directory">The model's folder.</param>
    /// <param name="config">The model's config.</param>
    /// <param name="metadata">Receives the keys.</param>
    /// <param name="warnings">Receives a line for each thing that llama.cpp does otherwise in rare texts.</param>
    /// <exception cref="InputException">There is no tokenizer, or llama.cpp has none like it.</exception>
    public static void Add(string directory, ModelConfig config, GgufMetadata metadata, List<string> warnings)
    {
        TokenizerKeys keys = new(directory, config, metadata, warnings);
        string path = FolderFile.At(directory, FileName);
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        JsonFields root = new(document.RootElement, path);
        JsonFields model = root.Object("model")!.Value;
        foreach (string affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.Text(affix) is { Length: > 0 })
                throw model.Wrong(affix, "none for a GGUF file");
        }
        keys._unknown = keys._tokenizer.IdOf(model.Text("unk_token")) ?? keys.RoleOf("unk_token");
        if (model.Boolean("byte_fallback") ?? false)
            keys.AddSentencePiece(root, model);
        else
            keys.AddByteLevel(root, model);
        keys.AddRoles();
        if (ChatFormat.DefaultSource(directory) is { } template)
            metadata.Add("tokenizer.chat_template", template);
    }

    private void AddByteLevel(JsonFields root, JsonFields model)
    {
        string split = SplitNames.Of(root, model.Boolean("ignore_merges") ?? false);
        WarnOfNormalizer(root);
        AddTokens("gpt2", split);
        _metadata.Add(Prefix + "merges", [.. Merges(model).Select(merge => $"{merge.Left} {merge.Right}")]);
    }

    private void AddSentencePiece(JsonFields root, JsonFields model)
    {
        bool addsSpace = SpacePrefix.Of(root);
        AddTokens("llama", "default");
        float[] scores =
            MergeScores.Of(Mergeable(), [.. Merges(model)], _config.VocabularySize)
            ?? throw model.Wrong(
                "merges",
                "for a GGUF file merges as SentencePiece makes them: every way to join two tokens to a third, those of "
                    + "one result together"
            );
        _metadata.Add(Prefix + "scores", scores);
        _metadata.Add(Prefix + "add_space_prefix", addsSpace);
        if (addsSpace && root.Object("pre_tokenizer") is not null)
        {
            _warnings.Add(
                $"{_directory}: llama.cpp puts a space before a text that begins with one too, and after each special "
                    + "token"
            );
        }
    }

    private void AddTokens(string model, string split)
    {
        string[] tokens = new string[_config.VocabularySize];
        int[] kinds = new int[tokens.Length];
        var added = _tokenizer.Added.ToDictionary(token => token.Id);
        for (int i = 0; i < tokens.Length; i++)
        {
            string? token = _tokenizer.TokenOf(i);
            tokens[i] = token ?? $"[PAD{i}]";
            kinds[i] = (int)KindOf(token, i == _unknown, added.GetValueOrDefault(i), hasBytes: model == "llama");
        }
        if (tokens.Distinct().Count() < tokens.Length)
            throw new InputException($"{_directory}: {FileName} has two ids with the same token, expected one of each");
        _metadata.Add(Prefix + "model", model);
        _metadata.Add(Prefix + "pre", split);
        _metadata.Add(Prefix + "tokens", tokens);
        _metadata.Add(Prefix + "token_type", kinds);
        if (
            _tokenizer.Added.FirstOrDefault(token => token.StripLeft || token.StripRight || token.SingleWord) is
            { } other
        )
        {
            _warnings.Add(
                $"{_directory}: added token {InputText.Quote(other.Content)} takes the space around it or stands only "
                    + "between words, which llama.cpp does not know"
            );
        }
    }

    private static TokenKind KindOf(string? token, bool isUnknown, AddedToken? added, bool hasBytes) =>
        (token, added) switch
        {
            (null, _) => TokenKind.Unused,
            _ when isUnknown && hasBytes => TokenKind.Unknown,
            (_, { Special: true }) => TokenKind.Control,
            (_, not null) => TokenKind.UserDefined,
            ({ Length: 6 }, _) when hasBytes && IsByte(token) => TokenKind.Byte,
            _ => TokenKind.Normal,
        };

    private static bool IsByte(string token) =>
        token.StartsWith("<0x", StringComparison.Ordinal) && token[^1] == '>' && token[3..5].All(char.IsAsciiHexDigit);

    /// <summary>Returns the tokens that merges may make; added ones and bytes are never made so.</summary>
    private Dictionary<string, int> Mergeable()
    {
        var added = _tokenizer.Added.Select(token => token.Id).ToHashSet();
        return Enumerable
            .Range(0, _tokenizer.VocabularySize)
            .Where(id =>
                _tokenizer.TokenOf(id) is { } token && !added.Contains(id) && !(token.Length == 6 && IsByte(token))
            )
            .ToDictionary(id => _tokenizer.TokenOf(id)!);
    }

    private static IEnumerable<(string Left, string Right)> Merges(JsonFields model) =>
        model.Array("merges")!.Value.EnumerateArray().Select(Parts);

    private static (string Left, string Right) Parts(JsonElement merge)
    {
        if (merge.ValueKind == JsonValueKind.Array)
            return (merge[0].GetString()!, merge[1].GetString()!);
        string[] parts = merge.GetString()!.Split(' ');
        return (parts[0], parts[1]);
    }

    private void WarnOfNormalizer(JsonFields root)
    {
        if (root.Object("normalizer") is not { } normalizer)
            return;
        if (normalizer.Text("type") != "NFC")
        {
            throw root.Wrong(
                "normalizer",
                "none for a GGUF file, or NFC: llama.cpp changes no text before it splits it"
            );
        }

        _warnings.Add($"{_directory}: llama.cpp does not bring texts to the form NFC, as this tokenizer does");
    }

    private void AddRoles()
    {
        int? begin = Around(_tokenizer.PrefixIds, "before") ?? RoleOf("bos_token") ?? _config.BosTokenId;
        int[] ends = [.. _config.EosTokenIds];
        if (ends.Length == 0 && _tokenizer.EndToken is { } end)
            ends = [end.Id];
        if (ends.Length == 0)
            _warnings.Add($"{_directory}: no file names an end token; llama.cpp takes one of its own choice for it");
        AddId("bos_token_id", begin);
        AddId("eos_token_id", ends.Length > 0 ? ends[0] : null);
        AddId("eot_token_id", ends.Length > 1 ? ends[1] : null);
        AddId("unknown_token_id", _unknown);
        AddId("padding_token_id", RoleOf("pad_token"));
        _metadata.Add(Prefix + "add_bos_token", _tokenizer.PrefixIds.Count > 0);
        _metadata.Add(Prefix + "add_eos_token", Around(_tokenizer.SuffixIds, "after") is not null);
    }

    private int? Around(IReadOnlyList<int> ids, string where)
    {
        if (ids.Count > 1)
        {
            throw new InputException(
                $"{_directory}: the tokenizer puts {ids.Count} tokens {where} a text, expected at most one for a GGUF "
                    + "file"
            );
        }

        return ids.Count == 1 ? ids[0] : null;
    }

    private int? RoleOf(string role) => _tokenizer.Roles.TryGetValue(role, out int id) ? id : null;

    private void AddId(string key, int? id)
    {
        if (id is { } given && given < _config.VocabularySize)
            _metadata.Add(Prefix + key, given);
    }
}
