using System.Text.Json;
using System.Text.RegularExpressions;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters.Files;

/// <content>Fields with entries for single modules, or with lists of modules.</content>
public sealed partial record PeftField
{
    /// <summary>
    /// Creates the field for the ranks of single modules. It is written only if there are any, since PEFT up to 0.5
    /// does not know the key.
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

    /// <summary>Creates the field for the alphas of single modules, like <see cref="RankPattern"/>.</summary>
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

    /// <summary>The field for modules that are trained and stored whole.</summary>
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
    /// The field for parameters of experts. It is written only if there are any, since older versions of PEFT do not
    /// know the key.
    /// </summary>
    public static PeftField TargetParameters =>
        new("target_parameters")
        {
            Read = (fields, options) =>
            {
                IReadOnlyList<string> targets = fields.Texts("target_parameters") ?? [];
                return targets.All(ExpertParameters.CanBe)
                    ? options with
                    {
                        TargetParameters = targets,
                    }
                    : throw fields.Wrong(
                        "target_parameters",
                        $"weights of layers, or ends of {ExpertParameters.GateUp} and {ExpertParameters.Down}"
                    );
            },
            Write = (json, options) =>
            {
                if (options.TargetParameters.Count == 0)
                    return;
                json.WriteStartArray("target_parameters");
                foreach (string parameter in options.TargetParameters)
                    json.WriteStringValue(parameter);
                json.WriteEndArray();
            },
        };

    /// <summary>
    /// The field for rows of embeddings that are trained and stored. It is written only if there are any, since older
    /// versions of PEFT do not know the key.
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

    /// <summary>
    /// The field with the tokens that activate an adapter. Its presence tells an activated LoRA from others.
    /// </summary>
    public static PeftField InvocationTokens =>
        new(InvocationKey)
        {
            Holds = fields => !IsAbsent(fields, InvocationKey),
            Read = (fields, options) =>
                IsAbsent(fields, InvocationKey)
                    ? options
                    : options with
                    {
                        InvocationTokens = Tokens(fields, InvocationKey),
                    },
            Write = (json, options) => WriteTokens(json, InvocationKey, options.InvocationTokens),
        };

    /// <summary>Creates a field for the values of a setting for single modules.</summary>
    /// <param name="setting">The setting, which has to be a number.</param>
    /// <param name="key">The config's key.</param>
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
    /// Creates the field that says, with true or false each, which of a module's initial ranks are kept. Stored tensors
    /// hold only these, while the scale is still that of all ranks. In a fresh adapter the tensors keep their size,
    /// with zeros for the ranks that are not kept.
    /// </summary>
    /// <param name="key">The config's key.</param>
    /// <param name="suffix">The suffix of the entries' names after the module's name.</param>
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
                // The scale is alpha divided by the number of all ranks. If alpha is 0 or less, PEFT divides the number
                // of kept ranks instead.
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

    /// <summary>The number that PEFT adds to the rank when it divides AdaLoRA's alpha by it.</summary>
    internal const double AdaloraRankOffset = 1e-5;

    private static double Ratio(int kept, int all) => (kept + AdaloraRankOffset) / (all + AdaloraRankOffset);

    /// <summary>
    /// Returns an entry without the first component of a full name, which all layers share: PEFT up to 0.14 matches a
    /// key only after a dot.
    /// </summary>
    private static KeyValuePair<string, T> Behind<T>(KeyValuePair<string, T> entry)
    {
        const string First = @"model\.";
        return entry.Key.StartsWith(First, StringComparison.Ordinal)
            ? KeyValuePair.Create(entry.Key[First.Length..], entry.Value)
            : entry;
    }

    /// <summary>Returns an expression for the module of a tensor, without the names of wrappers.</summary>
    private static string ModuleOf(string name, string suffix)
    {
        // Old versions append the adapter's name.
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
