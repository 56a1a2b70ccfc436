using System.Text.Json;
using System.Text.RegularExpressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <content>Keys with entries for single modules, or lists of modules.</content>
public sealed partial record PeftField
{
    /// <summary>
    /// Ranks of single modules. Without any it is not written, as PEFT up to 0.5 does not know the key.
    /// </summary>
    public static PeftField RankPattern() =>
        new("rank_pattern")
        {
            Read = (fields, options) =>
                options with
                {
                    RankPattern = Entries(
                        fields,
                        "rank_pattern",
                        (owner, key) => owner.RequiredInteger(key, 1, LargestRank)
                    ),
                },
            Write = (json, options) =>
            {
                if (options.RankPattern.Count > 0)
                    WriteEntries(json, "rank_pattern", options.RankPattern.Select(Behind), json.WriteNumberValue);
            },
        };

    /// <summary>Alphas of single modules, likewise.</summary>
    public static PeftField AlphaPattern() =>
        new("alpha_pattern")
        {
            Read = (fields, options) =>
                options with
                {
                    AlphaPattern = Entries(
                        fields,
                        "alpha_pattern",
                        (owner, key) =>
                            owner.Number(key, -LargestNumber, LargestNumber) ?? throw owner.Wrong(key, "a number")
                    ),
                },
            Write = (json, options) =>
            {
                if (options.AlphaPattern.Count > 0)
                    WriteEntries(json, "alpha_pattern", options.AlphaPattern.Select(Behind), json.WriteNumberValue);
            },
        };

    /// <summary>Modules that are trained and stored whole.</summary>
    public static PeftField ModulesToSave { get; } =
        new("modules_to_save")
        {
            Read = (fields, options) => options with { ModulesToSave = fields.Texts("modules_to_save") ?? [] },
            Write = (json, options) =>
            {
                if (options.ModulesToSave.Count == 0)
                {
                    json.WriteNull("modules_to_save");
                    return;
                }
                json.WriteStartArray("modules_to_save");
                foreach (string module in options.ModulesToSave)
                    json.WriteStringValue(module);
                json.WriteEndArray();
            },
        };

    /// <summary>
    /// Rows of embeddings that are trained and stored; not written where there are none, as older versions of PEFT do
    /// not know the key.
    /// </summary>
    public static PeftField TrainableTokens =>
        new(TokensKey)
        {
            Read = (fields, options) =>
                fields.Find(TokensKey) switch
                {
                    null => options,
                    { ValueKind: JsonValueKind.Array } => options with
                    {
                        TrainableTokens = [KeyValuePair.Create(EmbeddingName, Tokens(fields, TokensKey))],
                    },
                    _ => options with { TrainableTokens = Entries(fields, TokensKey, Tokens) },
                },
            Write = (json, options) =>
            {
                if (options.TrainableTokens.Count == 0)
                    return;
                if (options.TrainableTokens is [{ Key: EmbeddingName } only])
                {
                    WriteTokens(json, TokensKey, only.Value);
                    return;
                }
                json.WriteStartObject(TokensKey);
                foreach ((string name, IReadOnlyList<int> tokens) in options.TrainableTokens)
                    WriteTokens(json, name, tokens);
                json.WriteEndObject();
            },
        };

    /// <summary>Values of a setting for single modules.</summary>
    /// <param name="setting">The setting, a number.</param>
    /// <param name="key">The key.</param>
    public static PeftField SettingPattern(AdapterSetting setting, string key) =>
        new(key)
        {
            Read = (fields, options) =>
                Entries(
                    fields,
                    key,
                    (owner, name) => Value(owner, setting, name) ?? throw owner.Wrong(name, setting.Expected)
                )
                    is { Length: > 0 } entries
                    ? options with
                    {
                        SettingPatterns = new Dictionary<string, IReadOnlyList<KeyValuePair<string, double>>>(
                            options.SettingPatterns
                        )
                        {
                            [setting.Name] = entries,
                        },
                    }
                    : options,
            Write = (json, options) =>
                WriteEntries(
                    json,
                    key,
                    (options.SettingPatterns.GetValueOrDefault(setting.Name) ?? []).Select(Behind),
                    json.WriteNumberValue
                ),
        };

    /// <summary>
    /// Which of the ranks a module began with are kept, true or false each: the tensors hold those alone, while the
    /// scale is still that of all. A fresh adapter's tensors keep their size, with zeros in place of what was given up.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="suffix">What the entries' names end in behind the module's.</param>
    public static PeftField KeptRanks(string key, string suffix) =>
        new(key)
        {
            Read = (fields, options) =>
            {
                KeyValuePair<string, int>[] kept =
                [
                    .. Entries(
                            fields,
                            key,
                            (owner, name) =>
                                owner
                                    .Array(name)
                                    ?.EnumerateArray()
                                    .Count(item =>
                                        item.ValueKind switch
                                        {
                                            JsonValueKind.True => true,
                                            JsonValueKind.False => false,
                                            _ => throw owner.Wrong(name, "true or false for each rank"),
                                        }
                                    )
                                ?? throw owner.Wrong(name, "an array")
                        )
                        .Select(pair => KeyValuePair.Create(ModuleOf(pair.Key, suffix), pair.Value)),
                ];
                // The scale is alpha over all ranks; with an alpha of 0 or less, the kept ranks over all.
                return options with
                {
                    RankPattern = kept,
                    AlphaPattern =
                    [
                        .. kept.Select(pair =>
                            KeyValuePair.Create(
                                pair.Key,
                                (options.Alpha > 0 ? options.Alpha : pair.Value) * Ratio(pair.Value, options.Rank)
                            )
                        ),
                    ],
                };
            },
            Write = (json, options) =>
            {
                if (options.RankPattern.Count == 0)
                {
                    json.WriteNull(key);
                    return;
                }
                WriteEntries(
                    json,
                    key,
                    options.RankPattern.Select(pair =>
                        KeyValuePair.Create(Regex.Unescape(pair.Key) + suffix, pair.Value)
                    ),
                    kept =>
                    {
                        json.WriteStartArray();
                        for (int rank = 0; rank < Math.Max(options.Rank, kept); rank++)
                            json.WriteBooleanValue(rank < kept);
                        json.WriteEndArray();
                    }
                );
            },
        };

    /// <summary>What PEFT adds to the rank that it divides AdaLoRA's alpha by.</summary>
    internal const double AdaloraRankOffset = 1e-5;

    private static double Ratio(int kept, int all) => (kept + AdaloraRankOffset) / (all + AdaloraRankOffset);

    /// <summary>
    /// PEFT up to 0.14 matches a key only behind a dot: a whole name goes without its first part, which is every
    /// layer's.
    /// </summary>
    private static KeyValuePair<string, T> Behind<T>(KeyValuePair<string, T> entry)
    {
        const string First = @"model\.";
        return entry.Key.StartsWith(First, StringComparison.Ordinal)
            ? KeyValuePair.Create(entry.Key[First.Length..], entry.Value)
            : entry;
    }

    /// <summary>An expression for the module of a tensor, whatever wrappers its name goes through.</summary>
    private static string ModuleOf(string name, string suffix)
    {
        // Old versions leave the adapter's name behind it.
        int end = name.LastIndexOf(suffix, StringComparison.Ordinal);
        if (end >= 0 && (end + suffix.Length == name.Length || name[end + suffix.Length] == '.'))
            name = name[..end];
        return Regex.Escape(WrappedNames.Unwrap(name));
    }

    private static IReadOnlyList<int> Tokens(JsonFields fields, string key) =>
        fields.IntegerOrList(key, 0, int.MaxValue) ?? throw fields.Wrong(key, "a list of token ids");

    private static void WriteTokens(Utf8JsonWriter json, string key, IReadOnlyList<int> tokens)
    {
        json.WriteStartArray(key);
        foreach (int token in tokens)
            json.WriteNumberValue(token);
        json.WriteEndArray();
    }

    private static KeyValuePair<string, T>[] Entries<T>(JsonFields fields, string key, Func<JsonFields, string, T> read)
    {
        if (fields.Object(key) is not { } owner)
            return [];
        if (owner.Element.GetPropertyCount() > ModulePattern.MostEntries)
            throw fields.Wrong(key, $"at most {ModulePattern.MostEntries} entries");
        return
        [
            .. owner
                .Element.EnumerateObject()
                .Select(property => KeyValuePair.Create(property.Name, read(owner, property.Name))),
        ];
    }

    internal static void WriteEntries<T>(
        Utf8JsonWriter json,
        string key,
        IEnumerable<KeyValuePair<string, T>> entries,
        Action<T> write
    )
    {
        json.WriteStartObject(key);
        foreach ((string name, T value) in entries)
        {
            json.WritePropertyName(name);
            write(value);
        }
        json.WriteEndObject();
    }
}
