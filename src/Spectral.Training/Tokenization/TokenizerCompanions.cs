using System.Globalization;
using System.Text.Json;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Tokenization;

/// <summary>
/// Reads the files beside <c>tokenizer.json</c> that concern its tokens, <c>tokenizer_config.json</c>,
/// <c>special_tokens_map.json</c> and <c>added_tokens.json</c>, as transformers does for a fast tokenizer. docs/data.md
/// has the rules.
/// </summary>
internal sealed class TokenizerCompanions
{
    private const string ConfigFile = "tokenizer_config.json";
    private const string MapFile = "special_tokens_map.json";
    private const string AddedFile = "added_tokens.json";
    private const long MaximumBytes = 64 << 20;

    /// <summary>The keys of the tokens with a role.</summary>
    public static readonly IReadOnlyList<string> NamedKeys =
    [
        "bos_token",
        "eos_token",
        "unk_token",
        "sep_token",
        "pad_token",
        "cls_token",
        "mask_token",
    ];

    private static readonly string[] ListKeys = ["additional_special_tokens", "extra_special_tokens"];

    private readonly string _directory;
    private readonly List<string> _warnings = [];
    private readonly Dictionary<string, AddedToken> _named = [];
    private readonly List<AddedToken> _extra = [];
    private readonly List<AddedToken> _added = [];
    private readonly string _addedFrom;
    private readonly bool _flagsCount;
    private readonly bool? _prefixSpace;

    private TokenizerCompanions(string directory)
    {
        _directory = directory;
        using JsonDocument? config = Open(ConfigFile);
        using JsonDocument? map = Open(MapFile);
        using JsonDocument? tokens = Open(AddedFile);
        JsonFields? settings = Fields(config, ConfigFile);
        // With added_tokens_decoder the two older files are redundant and are ignored.
        _flagsCount = settings?.Has("added_tokens_decoder") ?? false;
        _addedFrom = _flagsCount ? ConfigFile : AddedFile;
        ReadNamed(settings, ConfigFile, counts: true);
        ReadNamed(Fields(map, MapFile), MapFile, counts: !_flagsCount);
        if (_flagsCount)
            ReadDecoder(settings!.Value.Object("added_tokens_decoder")!.Value);
        else if (Fields(tokens, AddedFile) is { } list)
            ReadList(list);
        BeginEnd = new BeginEndSettings(
            settings,
            PathOf(ConfigFile),
            settings?.Text("tokenizer_class") ?? ClassOfModel()
        );
        if (settings?.Boolean("split_special_tokens") ?? false)
        {
            _warnings.Add(
                $"{PathOf(ConfigFile)}: split_special_tokens is true, but special tokens in a text become their ids "
                    + "here"
            );
        }

        _prefixSpace = settings?.Boolean("add_prefix_space");
    }

    /// <summary>The warnings about unusual things, one line each.</summary>
    public List<string> Warnings => _warnings;

    /// <summary>The settings for tokens around a text.</summary>
    public BeginEndSettings BeginEnd { get; }

    /// <summary>The token that ends a text, and the file that names it; null if none does.</summary>
    public (string Content, string File)? EndToken { get; private set; }

    /// <summary>Reads those of the files that exist.</summary>
    /// <exception cref="InputException">A file is malformed.</exception>
    public static TokenizerCompanions Read(string directory) => new(directory);

    /// <summary>Returns the content of a token with a role, such as <c>bos_token</c>; null if there is none.</summary>
    public string? Named(string key) => _named.GetValueOrDefault(key)?.Content;

    /// <summary>Adds the tokens of these files to the added tokens of tokenizer.json.</summary>
    public void Complete(AddedTokenList tokens)
    {
        tokens.Add(_added.OrderBy(token => token.Id), PathOf(_addedFrom), replaces: _flagsCount);
        tokens.Add(
            _named.Values.Concat(_extra).Where(token => !tokens.Has(token.Content)),
            file: null,
            replaces: false
        );
    }

    /// <summary>Adds a warning if <c>add_prefix_space</c> contradicts the steps of tokenizer.json.</summary>
    public void ComparePrefixSpace(JsonFields? normalizer, JsonFields? preTokenizer)
    {
        bool adds = AddsSpace(normalizer) || AddsSpace(preTokenizer);
        if (_prefixSpace is { } wanted && wanted != adds)
        {
            _warnings.Add(
                $"{PathOf(ConfigFile)}: add_prefix_space is {(wanted ? "true" : "false")}, but the steps of "
                    + $"tokenizer.json put {(adds ? "a" : "no")} space in front of a text, which counts, as in "
                    + "transformers 5"
            );
        }
    }

    // Returns whether a step puts a space, or its replacement, before a text.
    private static bool AddsSpace(JsonFields? definition)
    {
        if (definition is not { } fields)
            return false;
        bool adds = fields.Text("type") switch
        {
            "Prepend" => true,
            // A normalizer of this type has no such key.
            "ByteLevel" => fields.Boolean("add_prefix_space") ?? false,
            "Metaspace" => fields.Text("prepend_scheme") is { } scheme
                ? scheme != "never"
                : fields.Boolean("add_prefix_space") ?? true,
            _ => false,
        };
        return adds
            || fields.Objects("normalizers").Concat(fields.Objects("pretokenizers")).Any(part => AddsSpace(part));
    }

    private string PathOf(string name) => Path.Combine(_directory, name);

    private JsonDocument? Open(string name)
    {
        string path = FolderFile.At(_directory, name);
        return File.Exists(path) ? StrictJson.ParseFile(path, MaximumBytes) : null;
    }

    private JsonFields? Fields(JsonDocument? document, string name) =>
        document is null ? null : new JsonFields(document.RootElement, PathOf(name));

    // If the tokenizer's files name no class, AutoTokenizer uses that of the model.
    private string? ClassOfModel()
    {
        using JsonDocument? model = Open("config.json");
        if (Fields(model, "config.json") is not { } fields)
            return null;
        return fields.Text("tokenizer_class") ?? ModelFamilies.Find(fields.Text("model_type"))?.DefaultTokenizerClass;
    }

    private void ReadNamed(JsonFields? definition, string file, bool counts)
    {
        if (definition is not { } fields)
            return;
        foreach (string key in NamedKeys)
        {
            if (Special(fields, key) is not { } token)
                continue;
            if (key == "eos_token" && EndToken is { } end && end.Content != token.Content)
            {
                _warnings.Add(
                    $"{PathOf(file)}: eos_token is {InputText.Quote(token.Content)}, in {end.File} "
                        + $"{InputText.Quote(end.Content)}; that of {(counts ? file : end.File)} counts"
                );
            }

            if (!counts)
                continue;
            _named[key] = token;
            if (key == "eos_token")
                EndToken = (token.Content, file);
        }
        if (!counts)
            return;
        foreach (string key in ListKeys)
            _extra.AddRange(Specials(fields, key));
    }

    // A list, or an object whose values are the tokens.
    private static IEnumerable<AddedToken> Specials(JsonFields fields, string key)
    {
        if (fields.Find(key) is not { } value)
            return [];
        if (value.ValueKind == JsonValueKind.Object)
        {
            JsonFields entries = fields.Object(key)!.Value;
            return [.. value.EnumerateObject().Select(entry => Special(entries, entry.Name)).OfType<AddedToken>()];
        }
        return
        [
            .. fields
                .Array(key)!
                .Value.EnumerateArray()
                .Select((item, index) => Special(fields, $"{key}[{index}]", item))
                .OfType<AddedToken>(),
        ];
    }

    private static AddedToken? Special(JsonFields fields, string key) =>
        fields.Find(key) is { } value ? Special(fields, key, value) : null;

    private static AddedToken? Special(JsonFields fields, string key, JsonElement value)
    {
        AddedToken token = value.ValueKind switch
        {
            JsonValueKind.String => new AddedToken(
                0,
                value.GetString()!,
                false,
                false,
                false,
                Normalized: false,
                Special: true
            ),
            JsonValueKind.Object => AddedToken.Read(fields.Nested(key, value), 0) with { Special = true },
            _ => throw fields.Wrong(key, value, "a token: a string, or an object with its content"),
        };
        if (token.Content.Length > AddedToken.Longest)
            throw fields.Wrong(key, value, $"at most {AddedToken.Longest} characters");
        return token.Content.Length > 0 ? token : null;
    }

    private void ReadDecoder(JsonFields decoder)
    {
        foreach (JsonProperty entry in decoder.Element.EnumerateObject())
        {
            if (
                !int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                || id > TokenModel.LargestId
            )
            {
                throw new InputException(
                    $"{PathOf(ConfigFile)}: added_tokens_decoder has the key {InputText.Quote(entry.Name)}, expected "
                        + "an id"
                );
            }

            var token = AddedToken.Read(decoder.Object(entry.Name) ?? throw decoder.Wrong(entry.Name, "an object"), id);
            if (token.Content.Length > 0)
                _added.Add(token with { Special = token.Special || IsNamed(token.Content) });
        }
    }

    private void ReadList(JsonFields list)
    {
        foreach (JsonProperty entry in list.Element.EnumerateObject().Where(entry => entry.Name.Length > 0))
        {
            AddedToken.RequireLength(entry.Name, PathOf(AddedFile));
            bool special = IsNamed(entry.Name);
            int id = list.RequiredInteger(entry.Name, 0, TokenModel.LargestId);
            _added.Add(new AddedToken(id, entry.Name, false, false, false, Normalized: !special, special));
        }
    }

    private bool IsNamed(string content) =>
        _named.Values.Any(token => token.Content == content) || _extra.Exists(token => token.Content == content);
}
