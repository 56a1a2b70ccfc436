using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// A key of <c>adapter_config.json</c>, with the setting of an adapter that it holds or the value that it must have.
/// Older versions of PEFT refuse a config with unknown keys, so that a method whose files they load lists exactly
/// PEFT's keys.
/// </summary>
/// <param name="Key">The name of the key.</param>
public sealed partial record PeftField(string Key)
{
    private const int LargestRank = 1 << 16;

    /// <summary>What PEFT calls the token embedding in a list of tokens, whatever its name in the model.</summary>
    internal const string EmbeddingName = "embed_tokens";

    private const string TyingKey = "ensure_weight_tying";
    private const string InvocationKey = "alora_invocation_tokens";
    private const string TokensKey = "trainable_token_indices";

    // Larger than anyone needs, and small enough that no product with it overflows.
    private const double LargestNumber = 1e9;

    /// <summary>Reads the value into the settings. A missing key means PEFT's default.</summary>
    internal Func<JsonFields, AdapterOptions, AdapterOptions> Read { get; init; } = (_, options) => options;

    /// <summary>Writes key and value; null: the field is never written.</summary>
    internal Action<Utf8JsonWriter, AdapterOptions>? Write { get; init; }

    /// <summary>
    /// The component of a name that marks tensors to ignore while the config has this key; null: none.
    /// </summary>
    internal string? IgnoredTensors { get; private init; }

    /// <summary>Returns whether a config has the value that this field must have.</summary>
    internal Func<JsonFields, bool> Holds { get; private init; } = _ => true;

    /// <summary>Returns a warning about a value that is unusual but harmless, including the key; null: none.</summary>
    internal Func<JsonFields, string?> Remark { get; private init; } = _ => null;

    /// <summary>
    /// The field that says whether weights are stored [in, out], as in GPT-2's Conv1D. PEFT corrects it by the kind of
    /// the layers.
    /// </summary>
    public static PeftField FanInFanOut { get; } =
        new("fan_in_fan_out")
        {
            Read = (fields, options) => options with { FanInFanOut = fields.Boolean("fan_in_fan_out") ?? false },
            Write = (json, options) => json.WriteBoolean("fan_in_fan_out", options.FanInFanOut),
        };

    /// <summary>The fields of PEFT's LoraConfig that affect the meaning of stored weights.</summary>
    public static IReadOnlyList<PeftField> Lora { get; } =
    [
        Rank(8),
        Alpha("lora_alpha", 8),
        Dropout("lora_dropout"),
        RankStabilized(),
        RankPattern(),
        AlphaPattern(),
        Bias("lora_only"),
        TrainableTokens,
        KeepTied,
        FanInFanOut,
        Start("init_lora_weights"),
        Refused("use_dora", "its magnitudes are those of dora"),
        .. Unsupported("lora_bias", "kasa_config"),
        Refused("layer_replication", "it makes a deeper model of copies of the base's layers"),
        TargetParameters,
        Refused(
            InvocationKey,
            "an activated LoRA acts only on the tokens from its invocation on, as alora does, without this beside it"
        ),
        Refused("arrow_config", "it routes each token to some of several adapters"),
        Refused("enable_lora", "it adapts parts of a layer that holds several, such as GPT-2's c_attn"),
        // These change only how training proceeds; outside training their forward pass is that of a plain LoRA.
        InTraining("velora_config", "lora_velora_embed"),
        InTraining("monteclora_config", "lora_monteclora_sampler"),
        .. Ignored(
            "loftq_config",
            "eva_config",
            "corda_config",
            "lora_ga_config",
            "use_qalora",
            "qalora_group_size",
            "use_bdlora",
            "megatron_config",
            "megatron_core",
            "runtime_config",
            "merge_weights"
        ),
    ];

    /// <summary>Returns the fields of LoraConfig, with some replaced or added.</summary>
    public static IReadOnlyList<PeftField> LoraWith(params IReadOnlyList<PeftField> others) =>
        [.. Lora.Where(field => others.All(other => other.Key != field.Key)), .. others];

    /// <summary>Creates the field for the rank.</summary>
    /// <param name="value">The default in PEFT.</param>
    /// <param name="key">The config's key.</param>
    /// <param name="least">The smallest rank allowed.</param>
    public static PeftField Rank(int value, string key = "r", int least = 1) =>
        new(key)
        {
            Read = (fields, options) => options with { Rank = fields.Integer(key, least, LargestRank) ?? value },
            Write = (json, options) => json.WriteNumber(key, options.Rank),
        };

    /// <summary>Creates the field for α.</summary>
    public static PeftField Alpha(string key, double value) =>
        new(key)
        {
            Read = (fields, options) =>
                options with
                {
                    Alpha = fields.Number(key, -LargestNumber, LargestNumber) ?? value,
                },
            Write = (json, options) => json.WriteNumber(key, options.Alpha),
        };

    /// <summary>Creates the field for dropout on the adapter's input.</summary>
    public static PeftField Dropout(string key) =>
        new(key)
        {
            Read = (fields, options) => options with { Dropout = fields.Number(key, 0, 1) ?? 0 },
            Write = (json, options) => json.WriteNumber(key, options.Dropout),
        };

    /// <summary>Creates the field for the rank-stabilized scale α/√r.</summary>
    public static PeftField RankStabilized() =>
        new("use_rslora")
        {
            Read = (fields, options) => options with { RankStabilized = fields.Boolean("use_rslora") ?? false },
            Write = (json, options) =>
            {
                // PEFT up to 0.6 does not know the key.
                if (options.RankStabilized)
                    json.WriteBoolean("use_rslora", true);
            },
        };

    /// <summary>
    /// Creates the field for the biases that train: none, all of the model, or those of the adapted layers, for which
    /// each type has its own spelling.
    /// </summary>
    /// <param name="adapted">The type's spelling for adapted layers.</param>
    /// <param name="former">The spelling of a former type, which is only read.</param>
    public static PeftField Bias(string adapted, string? former = null) =>
        new("bias")
        {
            Read = (fields, options) =>
                options with
                {
                    Bias = fields.Text("bias") switch
                    {
                        null or "none" => AdapterBias.None,
                        "all" => AdapterBias.All,
                        { } text when text == adapted || text == former => AdapterBias.Adapted,
                        _ => throw fields.Wrong("bias", $"none, all or {adapted}"),
                    },
                },
            Write = (json, options) =>
                json.WriteString(
                    "bias",
                    options.Bias switch
                    {
                        AdapterBias.None => "none",
                        AdapterBias.All => "all",
                        _ => adapted,
                    }
                ),
        };

    /// <summary>
    /// The field that says whether a tied head follows the embedding. It is written only if it does, since older
    /// versions of PEFT do not know the key.
    /// </summary>
    public static PeftField KeepTied =>
        new(TyingKey)
        {
            Read = (fields, options) => options with { KeepTied = fields.Boolean(TyingKey) ?? false },
            Write = (json, options) =>
            {
                if (options.KeepTied)
                    json.WriteBoolean(TyingKey, true);
            },
        };

    /// <summary>Creates the field for a setting of the method's own.</summary>
    /// <param name="setting">The method's setting.</param>
    /// <param name="key">The config's key.</param>
    /// <param name="rival">The setting that replaces this one where it is not 0; PEFT then expects 0 here.</param>
    public static PeftField Setting(AdapterSetting setting, string key, string? rival = null) =>
        new(key)
        {
            Read = (fields, options) =>
                !(rival is not null && fields.Number(key, -LargestNumber, LargestNumber) == 0)
                && Value(fields, setting, key) is { } value
                && value != setting.Default
                    ? options.With(setting.Name, value)
                    : options,
            Write = (json, options) =>
            {
                double own = options.Settings.GetValueOrDefault(setting.Name, setting.Default);
                if (setting.IsLaterKey && own == setting.Default)
                    return;
                double value = rival is not null && options.Settings.GetValueOrDefault(rival) != 0 ? 0 : own;
                if (setting.IsSwitch)
                    json.WriteBoolean(key, setting.Describe(value) == "on");
                else if (setting.Choices.Count > 0)
                    json.WriteString(key, setting.Describe(value));
                else
                    json.WriteNumber(key, value);
            },
        };

    /// <summary>Creates a field that is written with one value and refused with any other.</summary>
    public static PeftField Is(string key, bool value, bool missing = false) =>
        new(key)
        {
            Holds = fields =>
                fields.Find(key) is not { } found
                    ? missing == value
                    : found.ValueKind == (value ? JsonValueKind.True : JsonValueKind.False),
            Read = (fields, options) =>
                (fields.Boolean(key) ?? missing) == value
                    ? options
                    : throw fields.Wrong(key, $"{(value ? "true" : "false")}: the other is not supported"),
            Write = (json, _) => json.WriteBoolean(key, value),
        };

    /// <inheritdoc cref="Is(string, bool, bool)"/>
    public static PeftField Is(string key, int value) =>
        new(key)
        {
            Read = (fields, options) =>
                (fields.Number(key, -LargestNumber, LargestNumber) ?? value) == value
                    ? options
                    : throw fields.Wrong(key, $"{value}: no other is supported"),
            Write = (json, _) => json.WriteNumber(key, value),
        };

    /// <summary>Creates a field that PEFT requires and that does not affect the meaning of stored weights.</summary>
    public static PeftField Written(string key, int value) =>
        new(key) { Write = (json, _) => json.WriteNumber(key, value) };

    /// <summary>Creates a field that is written with one value and may have any when read.</summary>
    /// <param name="key">The config's key.</param>
    /// <param name="value">The value that is written.</param>
    /// <param name="check">Throws if the config has a value that cannot be read.</param>
    internal static PeftField Written(string key, bool value, Action<JsonFields>? check = null) =>
        new(key)
        {
            Read = (fields, options) =>
            {
                check?.Invoke(fields);
                return options;
            },
            Write = (json, _) => json.WriteBoolean(key, value),
        };

    /// <inheritdoc cref="Is(string, bool, bool)"/>
    public static PeftField Is(string key, string value) =>
        new(key)
        {
            Holds = fields =>
                fields.Find(key) is not { } found
                || (found.ValueKind == JsonValueKind.String && found.GetString() == value),
            Read = (fields, options) =>
                (fields.Text(key) ?? value) == value
                    ? options
                    : throw fields.Wrong(key, $"{value}: no other is supported"),
            Write = (json, _) => json.WriteString(key, value),
        };

    /// <summary>
    /// Creates the field that names the start. Only starts that subtract from the base affect the meaning of stored
    /// weights.
    /// </summary>
    /// <remarks>
    /// It is written as true: the stored weights are those of a plain start, or include the start values.
    /// </remarks>
    public static PeftField Start(string key) =>
        new(key) { Remark = LoraStartKey.Remark, Write = (json, _) => json.WriteBoolean(key, true) };

    /// <summary>
    /// Creates fields for features that change the model in ways this library does not support. They are refused unless
    /// absent, false or empty, and never written.
    /// </summary>
    public static IEnumerable<PeftField> Unsupported(params IEnumerable<string> keys) =>
        keys.Select(key => Refused(key, "this feature is not supported"));

    /// <summary>Creates a field for a single unsupported feature, like <see cref="Unsupported"/>.</summary>
    /// <param name="key">The config's key.</param>
    /// <param name="reason">What the feature does to the model, for the message.</param>
    public static PeftField Refused(string key, string reason) =>
        new(key)
        {
            Holds = fields => IsAbsent(fields, key),
            Read = (fields, options) => IsAbsent(fields, key) ? options : throw fields.Wrong(key, $"none: {reason}"),
        };

    /// <summary>
    /// Creates a field for a feature that acts only in training. It is not written, and further training here goes
    /// without it.
    /// </summary>
    /// <param name="key">The config's key.</param>
    /// <param name="tensors">The component of a name that marks the feature's own tensors in the file.</param>
    public static PeftField InTraining(string key, string tensors) => new(key) { IgnoredTensors = tensors };

    /// <summary>
    /// Creates a field that holds settings of the method's own in an object. Its presence tells the method from others
    /// of its type.
    /// </summary>
    public static PeftField Section(string key, IReadOnlyList<AdapterSetting> settings) =>
        new(key)
        {
            Holds = fields => fields.Has(key),
            Read = (fields, options) =>
                fields.Object(key) is { } section
                    ? settings.Aggregate(options, (read, setting) => Setting(setting, setting.Name).Read(section, read))
                    : options,
            Write = (json, options) =>
            {
                json.WriteStartObject(key);
                foreach (AdapterSetting setting in settings)
                    Setting(setting, setting.Name).Write!(json, options);
                json.WriteEndObject();
            },
        };

    /// <summary>Creates a field for a setting that files of earlier versions have among the other keys.</summary>
    internal static PeftField Former(AdapterSetting setting) =>
        new(setting.Name) { Read = Setting(setting, setting.Name).Read };

    /// <summary>Creates fields that do not affect the meaning of stored weights. They are not written.</summary>
    public static IEnumerable<PeftField> Ignored(params IEnumerable<string> keys) =>
        keys.Select(key => new PeftField(key));

    private static double? Value(JsonFields fields, AdapterSetting setting, string key)
    {
        if (fields.Find(key) is not { } found)
            return null;
        if (setting.IsSwitch)
            return setting.Parse(fields.Boolean(key) == true ? "on" : "off");
        if (setting.Choices.Count > 0)
        {
            return setting.Choices.Contains(fields.Text(key))
                ? setting.Parse(fields.Text(key)!)
                : throw fields.Wrong(key, setting.Expected);
        }

        return found.ValueKind == JsonValueKind.Number && found.TryGetDouble(out double value) && setting.Allows(value)
            ? value
            : throw fields.Wrong(key, setting.Expected);
    }

    private static bool IsAbsent(JsonFields fields, string key) =>
        fields.Find(key) is not { } value || value.ValueKind == JsonValueKind.False || IsEmpty(value);

    private static bool IsEmpty(JsonElement value) =>
        (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0)
        || (value.ValueKind == JsonValueKind.Object && value.GetPropertyCount() == 0);
}
