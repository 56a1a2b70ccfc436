using System.Text.Json;

namespace Spectral.Training;

/// <summary>adapter_config.json in and out: the keys of PEFT's LoRA config, and those of SpecLoRA.</summary>
internal static class AdapterConfigFile
{
    private const string FileName = "adapter_config.json";
    private const long MaximumBytes = 16 << 20;

    // Keys that change nothing in the stored weights' meaning: names, versions, how training began or ran.
    private static readonly string[] Harmless =
    [
        "task_type", "revision", "inference_mode", "auto_mapping", "peft_version", "runtime_config", "loftq_config", "eva_config",
        "corda_config", "lora_ga_config", "velora_config", "qalora_group_size", "megatron_core", "ensure_weight_tying",
    ];

    private static readonly string[] Read =
    [
        "peft_type", "base_model_name_or_path", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "r",
        "lora_alpha", "lora_dropout", "use_rslora", "rank_pattern", "alpha_pattern", "init_lora_weights", "bias", "top_k",
        "base_tensor_sha256",
    ];

    // Features that change the model in ways this library does not have; refused unless absent, false or empty.
    private static readonly string[] Unsupported =
    [
        "use_dora", "lora_bias", "fan_in_fan_out", "modules_to_save", "layer_replication", "target_parameters", "trainable_token_indices",
        "alora_invocation_tokens", "use_qalora", "use_bdlora", "arrow_config", "kasa_config", "monteclora_config", "megatron_config",
    ];

    // Initialisations that leave a residual in place of the base weights: the stored factors mean nothing without it.
    private static readonly string[] Residual = ["pissa", "olora", "corda", "loftq", "lora_ga"];

    public static AdapterConfig Load(string directory, List<string> warnings)
    {
        if (!Directory.Exists(directory))
            throw new InputException($"{directory}: no such folder, expected an adapter folder with {FileName}");
        string path = Path.Combine(directory, FileName);
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        JsonFields fields = new(document.RootElement, path);
        string type = fields.RequiredText("peft_type");
        if (type is not (AdapterConfig.Lora or AdapterConfig.SpecLora))
            throw fields.Wrong("peft_type", $"{AdapterConfig.Lora} or {AdapterConfig.SpecLora} (no other method is supported)");
        bool spectral = type == AdapterConfig.SpecLora;
        Refuse(fields);
        string[] unknown = [.. fields.Element.EnumerateObject().Select(property => property.Name)
            .Where(key => !Harmless.Contains(key) && !Read.Contains(key) && !Unsupported.Contains(key)).Select(InputText.Quote)];
        if (unknown.Length > 0)
            warnings.Add($"{path}: unknown keys are ignored: {string.Join(", ", unknown.Take(5))}{(unknown.Length > 5 ? ", …" : "")}");
        AdapterConfig config = new()
        {
            PeftType = type,
            TargetModules = Pattern(fields, "target_modules", path)
                ?? throw fields.Wrong("target_modules", "a list of names, an expression or all-linear"),
            ExcludeModules = Pattern(fields, "exclude_modules", path),
            LayersToTransform = fields.IntegerOrList("layers_to_transform", 0, int.MaxValue),
            LayersPattern = fields.Find("layers_pattern") is { ValueKind: JsonValueKind.String } single
                ? [single.GetString()!]
                : fields.Texts("layers_pattern") ?? [],
            Rank = fields.Integer("r", spectral ? 0 : 1, 1 << 16) ?? 8,
            Alpha = fields.Number("lora_alpha", -1e9, 1e9) ?? 8,
            UseRsLora = fields.Boolean("use_rslora") ?? false,
            Dropout = fields.Number("lora_dropout", 0, 1) ?? 0,
            RankPattern = Entries(fields, "rank_pattern", (owner, key) => owner.RequiredInteger(key, 1, 1 << 16)),
            AlphaPattern = Entries(fields, "alpha_pattern", (owner, key) => owner.Number(key, -1e9, 1e9)
                ?? throw owner.Wrong(key, "a number")),
            TopK = spectral ? fields.RequiredInteger("top_k", 1, 1 << 16) : null,
            BaseModel = fields.Text("base_model_name_or_path"),
            BaseTensorSha256 = Entries(fields, "base_tensor_sha256", (owner, key) => owner.RequiredText(key)).ToDictionary(),
        };
        CheckExpressions(config, path);
        return config;
    }

    private static void Refuse(JsonFields fields)
    {
        foreach (string key in Unsupported)
        {
            if (fields.Find(key) is { } value && !(value.ValueKind == JsonValueKind.False || IsEmpty(value)))
                throw fields.Wrong(key, "none: this feature is not supported");
        }
        if (fields.Text("bias") is not (null or "none"))
            throw fields.Wrong("bias", "none: trained biases are not supported");
        if (fields.Find("init_lora_weights") is { ValueKind: JsonValueKind.String } init
            && Array.Exists(Residual, name => init.GetString()!.StartsWith(name, StringComparison.OrdinalIgnoreCase)))
            throw fields.Wrong("init_lora_weights",
                "an initialisation that keeps the base weights: these factors belong to changed ones; convert the adapter with PEFT "
                    + "(path_initial_model_for_weight_conversion)");
    }

    private static bool IsEmpty(JsonElement value)
        => (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0)
            || (value.ValueKind == JsonValueKind.Object && value.GetPropertyCount() == 0);

    private static ModulePattern? Pattern(JsonFields fields, string key, string path) => fields.Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => ModulePattern.Parse(text.GetString()!, $"{path}: {key}"),
        _ => ModulePattern.Of(fields.Texts(key)!),
    };

    private static List<KeyValuePair<string, T>> Entries<T>(JsonFields fields, string key, Func<JsonFields, string, T> read)
        => fields.Object(key) is { } owner
            ? [.. owner.Element.EnumerateObject().Select(property => KeyValuePair.Create(property.Name, read(owner, property.Name)))]
            : [];

    // An expression that does not compile is found here, where the file can be named.
    private static void CheckExpressions(AdapterConfig config, string path)
    {
        foreach (string pattern in config.LayersPattern)
            ModulePattern.Expression(pattern, pattern, $"{path}: layers_pattern");
        foreach (string key in config.RankPattern.Select(pair => pair.Key))
            ModulePattern.Expression(key, key, $"{path}: a key of rank_pattern");
        foreach (string key in config.AlphaPattern.Select(pair => pair.Key))
            ModulePattern.Expression(key, key, $"{path}: a key of alpha_pattern");
    }

    // Only keys that every PEFT version of the last years knows: older ones refuse a config with others. Sorted, as PEFT writes them.
    public static void Save(AdapterConfig config, string directory)
        => AtomicFile.Write(Path.Combine(directory, FileName), stream =>
        {
            using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
            json.WriteStartObject();
            WriteEntries(json, "alpha_pattern", config.AlphaPattern, json.WriteNumberValue);
            json.WriteNull("auto_mapping");
            json.WriteString("base_model_name_or_path", config.BaseModel);
            if (config.BaseTensorSha256.Count > 0)
                WriteEntries(json, "base_tensor_sha256", config.BaseTensorSha256.OrderBy(pair => pair.Key, StringComparer.Ordinal),
                    json.WriteStringValue);
            json.WriteString("bias", "none");
            if (config.ExcludeModules is { } excluded)
                WritePattern(json, "exclude_modules", excluded);
            json.WriteBoolean("fan_in_fan_out", false);
            json.WriteBoolean("inference_mode", true);
            json.WriteBoolean("init_lora_weights", true);
            WriteList(json, "layers_pattern", config.LayersPattern.Count == 0 ? null : config.LayersPattern, json.WriteStringValue);
            WriteList(json, "layers_to_transform", config.LayersToTransform, json.WriteNumberValue);
            json.WriteNumber("lora_alpha", config.Alpha);
            json.WriteNumber("lora_dropout", config.Dropout);
            json.WriteNull("modules_to_save");
            json.WriteString("peft_type", config.PeftType);
            json.WriteNumber("r", config.Rank);
            WriteEntries(json, "rank_pattern", config.RankPattern, json.WriteNumberValue);
            json.WriteNull("revision");
            WritePattern(json, "target_modules", config.TargetModules);
            json.WriteString("task_type", "CAUSAL_LM");
            if (config.TopK is { } topK)
                json.WriteNumber("top_k", topK);
            json.WriteBoolean("use_dora", false);
            json.WriteBoolean("use_rslora", config.UseRsLora);
            json.WriteEndObject();
        });

    private static void WritePattern(Utf8JsonWriter json, string key, ModulePattern pattern)
    {
        if (pattern.Names is null)
            json.WriteString(key, pattern.Text);
        else
            WriteList(json, key, pattern.Names, json.WriteStringValue);
    }

    private static void WriteList<T>(Utf8JsonWriter json, string key, IEnumerable<T>? items, Action<T> write)
    {
        if (items is null)
        {
            json.WriteNull(key);
            return;
        }
        json.WriteStartArray(key);
        foreach (T item in items)
            write(item);
        json.WriteEndArray();
    }

    private static void WriteEntries<T>(Utf8JsonWriter json, string key, IEnumerable<KeyValuePair<string, T>> entries, Action<T> write)
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
