using System.Text;
using System.Text.Json;
using Spectral.Training.IO;
using Spectral.Training.Routing;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// Reads and writes adapter_config.json: the keys that all of PEFT's configs have, and those of the method.
/// </summary>
internal static partial class AdapterConfigFile
{
    /// <summary>The metadata key of the weights file with the method's name. PEFT does not read metadata.</summary>
    public const string MethodKey = "spectral.method";

    private const string SettingKey = "spectral.setting.";
    private const string StartKey = "spectral.start";
    private const string StartIncluded = "included";
    private const string ExpertsKey = "spectral.experts";
    private const string ExpertsApart = "apart";
    private const string BiasKey = "spectral.bias";
    private const string BiasListed = "listed";
    private const string BaseFormKey = "spectral.base_form";
    private const string SoftPromptKey = "spectral.soft_prompt";
    private const string TopKKey = "top_k";
    private const string DigestsKey = "base_tensor_sha256";
    private const string TargetsKey = "target_modules";
    private const string FileName = "adapter_config.json";
    private const long MaximumBytes = 4 << 20;

    private static readonly string[] Read =
    [
        "peft_type",
        "base_model_name_or_path",
        TargetsKey,
        "exclude_modules",
        "layers_to_transform",
        "layers_pattern",
    ];

    // Types whose fresh adapters change the model unless init_weights says otherwise.
    private static readonly string[] RandomByDefault = ["FOURIERFT", "C3A"];

    private static readonly PeftField[] Common =
    [
        .. PeftField.Ignored("task_type", "revision", "inference_mode", "auto_mapping", "peft_version", "init_weights"),
        PeftField.FanInFanOut,
        PeftField.Is("bias", "none"),
    ];

    /// <summary>Parses the config of a folder. Its <see cref="Path"/> begins every message about it.</summary>
    public static JsonDocument Parse(string directory)
    {
        FolderFile.RequireFolder(directory, $"adapter folder with {FileName}");
        if (ExpertFolder.IsOne(directory))
        {
            throw new InputException(
                $"{directory}: holds several experts, of which eval and generate choose by the prompt; expected one "
                    + "adapter, such as the folder expert-1 in it"
            );
        }

        return StrictJson.ParseFile(FolderFile.At(directory, FileName), MaximumBytes);
    }

    /// <summary>Reads the config, completed by the metadata of the weights file.</summary>
    public static AdapterConfig Load(
        JsonDocument document,
        string directory,
        IReadOnlyDictionary<string, string> metadata,
        List<string> warnings
    )
    {
        JsonFields fields = new(document.RootElement, Path(directory));
        return Load(fields, Find(fields, metadata, Path(directory)), directory, metadata, warnings);
    }

    private static AdapterConfig Load(
        JsonFields fields,
        AdapterMethod method,
        string directory,
        IReadOnlyDictionary<string, string> metadata,
        List<string> warnings
    )
    {
        string path = Path(directory);
        IReadOnlyList<PeftField> known = Fields(method);
        WarnOfUnknown(fields, known, path, warnings);
        warnings.AddRange(
            known.Select(field => field.Remark(fields)).OfType<string>().Select(remark => $"{path}: {remark}")
        );
        AdapterOptions options = known.Aggregate(new AdapterOptions(), (options, field) => field.Read(fields, options));
        if (!metadata.ContainsKey(MethodKey))
            options = method.ReadForeign(fields, options);
        foreach (
            (string key, string text) in metadata.Where(pair =>
                pair.Key.StartsWith(SettingKey, StringComparison.Ordinal)
            )
        )
        {
            options = WithSetting(options, method, key[SettingKey.Length..], text, directory);
        }

        if (method.UsesTopK)
            options = options with { TopK = TopK(fields, method, metadata, directory) };
        bool keepsGatesApart = metadata.GetValueOrDefault(ExpertsKey) == ExpertsApart;
        if (keepsGatesApart)
            options = ExpertStacks.WithHalfGates(options, options.RankStabilized);
        bool includesStart = metadata.GetValueOrDefault(StartKey) == StartIncluded;
        IReadOnlyDictionary<string, double>? start = includesStart ? null : LoraStartKey.SettingsOf(fields, method);
        foreach ((string name, double value) in start ?? new Dictionary<string, double>())
            options = options with { Settings = new Dictionary<string, double>(options.Settings) { [name] = value } };
        AdapterConfig config = new()
        {
            Method = method,
            Options = includesStart ? Halved(options, path) : options,
            IncludesStart = includesStart,
            KeepsGatesApart = keepsGatesApart,
            ListsBiases = metadata.GetValueOrDefault(BiasKey) == BiasListed,
            LacksStart = start is not null,
            StartsAtRandom = StartsAtRandom(fields, method),
            IgnoredTensors =
            [
                .. known.Where(field => fields.Has(field.Key)).Select(field => field.IgnoredTensors).OfType<string>(),
            ],
            Blocks = method.PeftType == AdapterConfig.Lora ? BlockDiagonals.Of(fields) : null,
            InputsPooled = fields.Find("use_qalora") is { ValueKind: JsonValueKind.True }
                ? fields.Integer("qalora_group_size", 1, int.MaxValue) ?? 16
                : null,
            Prompt = method is PromptMethod prompt ? PromptFields.Read(fields, prompt) : null,
            SoftPrompt = metadata.TryGetValue(SoftPromptKey, out string? beside)
                ? ReadPrompt(beside, directory, warnings)
                : null,
            TargetModules =
                method is PromptMethod
                    ? ModulePattern.Of(PromptMethod.Module)
                    : Pattern(fields, TargetsKey, path)
                        ?? (options.TargetParameters.Count > 0 ? ModulePattern.Of() : null)
                        ?? throw fields.Wrong(TargetsKey, "a list of names, an expression or all-linear"),
            ExcludeModules = Pattern(fields, "exclude_modules", path),
            LayersToTransform = fields.IntegerOrList("layers_to_transform", 0, int.MaxValue),
            LayersPattern = fields.Find("layers_pattern") is { ValueKind: JsonValueKind.String } single
                ? [single.GetString()!]
                : fields.Texts("layers_pattern") ?? [],
            BaseModel = fields.Text("base_model_name_or_path"),
            BaseForm = metadata.GetValueOrDefault(BaseFormKey),
            BaseTensorSha256 = fields.Object(DigestsKey) is { } digests
                ? digests
                    .Element.EnumerateObject()
                    .ToDictionary(
                        digest => digest.Name,
                        digest =>
                            digest.Value.ValueKind == JsonValueKind.String
                                ? digest.Value.GetString()!
                                : throw fields.Wrong(DigestsKey, "an object of strings")
                    )
                : new Dictionary<string, string>(),
        };
        CheckExpressions(config, path);
        return config;
    }

    /// <summary>Reads the config of the soft prompt beside the layers, which is that of PEFT's files of it.</summary>
    private static AdapterConfig ReadPrompt(string text, string directory, List<string> warnings)
    {
        string path = $"{Path(directory)} ({SoftPromptKey})";
        using JsonDocument document = StrictJson.Parse(Encoding.UTF8.GetBytes(text), path);
        JsonFields fields = new(document.RootElement, path);
        var none = new Dictionary<string, string>();
        AdapterMethod method = Find(fields, none, path);
        return method is PromptMethod
            ? Load(fields, method, directory, none, warnings)
            : throw fields.Wrong("peft_type", "that of a soft prompt");
    }

    /// <summary>Returns the config as a reader of its files would read it, who knows the method.</summary>
    /// <exception cref="InputException">A reader would refuse the files.</exception>
    public static AdapterConfig ReadBack(AdapterConfig config)
    {
        using MemoryStream stream = new();
        Write(config, stream);
        using var document = JsonDocument.Parse(stream.ToArray());
        return Load(new JsonFields(document.RootElement, FileName), config.Method, "", Metadata(config), []);
    }

    /// <summary>Returns the path of a folder's config, for messages.</summary>
    public static string Path(string directory) => System.IO.Path.Combine(directory, FileName);

    private static AdapterOptions Halved(AdapterOptions options, string path) =>
        Scaled(
            options,
            rank =>
                rank % 2 == 0
                    ? rank / 2
                    : throw new InputException(
                        $"{path}: rank {rank}, expected an even one, as the file holds its factors' start beside them"
                    ),
            1 / (options.RankStabilized ? Math.Sqrt(2) : 2)
        );

    // √2 is irrational, so that the result is rounded to 15 digits, as many as anyone writes.
    private static AdapterOptions Scaled(AdapterOptions options, Func<int, int> rank, double factor)
    {
        double Alpha(double alpha) =>
            factor == 1 / Math.Sqrt(2)
                ? double.Parse(
                    FormattableString.Invariant($"{alpha * factor:G15}"),
                    System.Globalization.CultureInfo.InvariantCulture
                )
                : alpha * factor;
        return options with
        {
            Rank = rank(options.Rank),
            Alpha = Alpha(options.Alpha),
            RankPattern = [.. options.RankPattern.Select(pair => KeyValuePair.Create(pair.Key, rank(pair.Value)))],
            AlphaPattern = [.. options.AlphaPattern.Select(pair => KeyValuePair.Create(pair.Key, Alpha(pair.Value)))],
        };
    }

    /// <summary>
    /// Returns all fields of a method's config, except the general ones that are read without a field.
    /// </summary>
    private static IReadOnlyList<PeftField> Fields(AdapterMethod method)
    {
        PeftField[] own = OwnFields(method);
        return [.. own, .. Common.Where(common => Array.TrueForAll(own, field => field.Key != common.Key))];
    }

    /// <summary>Returns the fields of a method's config beyond those that all methods have.</summary>
    private static PeftField[] OwnFields(AdapterMethod method)
    {
        IEnumerable<PeftField> own = method.PeftFields ?? PeftField.LoraWith(PeftField.Rank(8, least: 0));
        IEnumerable<PeftField> settings = method
            .Settings.Where(setting => setting.PeftKey is not null || method.PeftFields is null)
            .Select(setting =>
                PeftField.Setting(setting, setting.PeftKey ?? setting.Name.Replace('-', '_'), Rival(method, setting))
            );
        IEnumerable<PeftField> patterns = method
            .Settings.Where(setting => setting.PeftPatternKey is not null)
            .Select(setting => PeftField.SettingPattern(setting, setting.PeftPatternKey!));
        return [.. own, .. settings, .. patterns, PeftField.ModulesToSave];
    }

    private static string? Rival(AdapterMethod method, AdapterSetting setting) =>
        method.Settings.FirstOrDefault(other => other.InPlaceOf == setting.Name)?.Name;

    private static AdapterMethod Find(JsonFields fields, IReadOnlyDictionary<string, string> metadata, string path)
    {
        string type = fields.RequiredText("peft_type");
        if (metadata.TryGetValue(MethodKey, out string? name))
        {
            AdapterMethod named =
                AdapterMethods.Known(name)
                ?? throw new InputException(
                    $"{path}: written by the method {InputText.Quote(name)}, which is not known here; a "
                        + "newer version may know it"
                );
            return named.PeftType == type || named.FormerPeftType == type
                ? named
                : throw fields.Wrong("peft_type", $"{named.PeftType}, as the weights are those of {name}");
        }
        AdapterMethod[] ofType =
        [
            .. AdapterMethods.All.Where(method =>
                (method.PeftType == type || method.FormerPeftType == type) && method.Reads(fields)
            ),
        ];
        if (ofType.Length == 0)
        {
            throw fields.Wrong(
                "peft_type",
                "one of "
                    + string.Join(
                        ", ",
                        AdapterMethods.All.Select(method => method.PeftType).Distinct().Order(StringComparer.Ordinal)
                    )
            );
        }

        if (ofType[0].PeftType != type && ofType[0].FormerRefusal is { } reason)
            throw new InputException($"{path}: peft_type is {type}: {reason}");
        string? start = LoraStartKey.Of(fields);
        // Among the methods that agree with the config, prefer the one with this start, then the one that the type is
        // named after.
        return ofType
            .Where(method => method.PeftInit is null || method.PeftInit == start)
            .OrderByDescending(method => Fields(method).All(field => field.Holds(fields)))
            .ThenBy(method => method.PeftInit is null)
            .ThenByDescending(method => method.Name.ToUpperInvariant().Replace('-', '_') == type)
            .First();
    }

    /// <summary>
    /// Returns whether PEFT fills a layer without tensors with random factors that change it. The value false leaves no
    /// factor at zero. A string that is not a start of LoRA names a distribution.
    /// </summary>
    private static bool StartsAtRandom(JsonFields fields, AdapterMethod method)
    {
        JsonElement? start =
            fields.Find("init_lora_weights") ?? fields.Find("init_ia3_weights") ?? fields.Find("init_weights");
        return start?.ValueKind switch
        {
            null => RandomByDefault.Contains(method.PeftType),
            JsonValueKind.False => true,
            JsonValueKind.String => !fields.Has("init_lora_weights"),
            _ => false,
        };
    }

    private static void WarnOfUnknown(
        JsonFields fields,
        IReadOnlyList<PeftField> known,
        string path,
        List<string> warnings
    )
    {
        string[] unknown =
        [
            .. fields
                .Element.EnumerateObject()
                .Select(property => property.Name)
                .Where(key =>
                    !Read.Contains(key) && key is not (TopKKey or DigestsKey) && known.All(field => field.Key != key)
                )
                .Select(InputText.Quote),
        ];
        if (unknown.Length > 0)
        {
            warnings.Add(
                $"{path}: unknown keys are ignored: "
                    + $"{string.Join(", ", unknown.Take(5))}{(unknown.Length > 5 ? ", …" : "")}"
            );
        }
    }

    private static AdapterOptions WithSetting(
        AdapterOptions options,
        AdapterMethod method,
        string name,
        string text,
        string directory
    )
    {
        if (name == TopKKey)
            return options;
        AdapterSetting setting =
            method.Settings.FirstOrDefault(setting => setting.Name == name)
            ?? throw new InputException(
                $"{directory}: the weights file has a setting {InputText.Quote(name)}, "
                    + $"which {method.Name} does not have"
            );
        return options with
        {
            Settings = new Dictionary<string, double>(options.Settings) { [name] = setting.Parse(text) },
        };
    }

    private static int TopK(
        JsonFields fields,
        AdapterMethod method,
        IReadOnlyDictionary<string, string> metadata,
        string directory
    )
    {
        const int Most = 1 << 16;
        if (method.PeftFields is null)
            return fields.RequiredInteger(TopKKey, 1, Most);
        string text = metadata.GetValueOrDefault(SettingKey + TopKKey, "");
        return
            int.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out int value)
            && value is >= 1 and <= Most
            ? value
            : throw new InputException(
                $"{directory}: the weights file has {SettingKey}{TopKKey} {InputText.Quote(text)}, "
                    + $"expected a whole number from 1 to {Most}"
            );
    }

    private static ModulePattern? Pattern(JsonFields fields, string key, string path) =>
        fields.Find(key) switch
        {
            null => null,
            { ValueKind: JsonValueKind.String } text => ModulePattern.Parse(text.GetString()!, $"{path}: {key}"),
            _ => ModulePattern.Of(fields.Texts(key)!.Select(WrappedNames.Unwrap)),
        };

    // Expressions that do not compile are reported here, where the file's name is known.
    private static void CheckExpressions(AdapterConfig config, string path)
    {
        const int MostLists = 16;
        if (config.LayersPattern.Count > MostLists)
        {
            throw new InputException(
                $"{path}: layers_pattern has {config.LayersPattern.Count} entries, expected at most {MostLists}"
            );
        }

        try
        {
            config.CheckLists();
            config.Options.For("");
        }
        catch (InputException e)
        {
            throw new InputException($"{path}: {e.Message}", e);
        }
    }
}
