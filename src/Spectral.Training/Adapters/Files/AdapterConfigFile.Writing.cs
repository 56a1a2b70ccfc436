using System.Text;
using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <content>Writes the config and the metadata.</content>
internal static partial class AdapterConfigFile
{
    /// <summary>Writes the config with sorted keys, as PEFT does.</summary>
    public static void Save(AdapterConfig config, string directory) =>
        AtomicFile.Write(Path(directory), stream => Write(config, stream));

    private static void Write(AdapterConfig config, Stream stream)
    {
        using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
        SortedDictionary<string, Action> writers = new(StringComparer.Ordinal)
        {
            ["auto_mapping"] = () => json.WriteNull("auto_mapping"),
            ["base_model_name_or_path"] = () => json.WriteString("base_model_name_or_path", config.BaseModel),
            ["inference_mode"] = () => json.WriteBoolean("inference_mode", true),
            ["peft_type"] = () => json.WriteString("peft_type", config.Method.PeftType),
            ["revision"] = () => json.WriteNull("revision"),
            ["task_type"] = () => json.WriteString("task_type", config.TaskType),
        };
        if (config is { Method: PromptMethod prompt, Prompt: { } sizes })
        {
            PromptFields.Write(writers, json, prompt, sizes);
            // PEFT refuses a start from a text without it.
            if (config.Options.PromptText is not null)
                writers[PromptFields.Tokenizer] = () => json.WriteString(PromptFields.Tokenizer, config.BaseModel);
        }
        else
        {
            writers[TargetsKey] = () => WritePattern(json, TargetsKey, config.TargetModules);
        }
        AdapterOptions whole = config.Options with
        {
            TargetModules = config.TargetModules.Names ?? config.Options.TargetModules,
        };
        AdapterOptions options = config.IncludesStart ? Doubled(whole) : whole;
        if (options.TargetParameters.Any(ExpertStacks.IsOfGates))
            options = ExpertStacks.WithDoubleGates(options);
        foreach (PeftField field in OwnFields(config.Method).Where(field => field.Write is not null))
            writers[field.Key] = () => field.Write!(json, options);
        if (config.Method.PeftFields is null && config.Method.UsesTopK)
            writers[TopKKey] = () => json.WriteNumber(TopKKey, config.Options.TopK);
        if (config.ExcludeModules is { } excluded)
            writers["exclude_modules"] = () => WritePattern(json, "exclude_modules", excluded);
        if (config.LayersToTransform is { } layers)
        {
            writers["layers_to_transform"] = () =>
                WriteList(json, "layers_to_transform", layers, json.WriteNumberValue);
        }

        if (config.LayersPattern.Count > 0)
        {
            writers["layers_pattern"] = () =>
                WriteList(json, "layers_pattern", config.LayersPattern, json.WriteStringValue);
        }

        if (config.BaseTensorSha256.Count > 0)
        {
            writers[DigestsKey] = () =>
                PeftField.WriteEntries(
                    json,
                    DigestsKey,
                    config.BaseTensorSha256.OrderBy(pair => pair.Key, StringComparer.Ordinal),
                    json.WriteStringValue
                );
        }

        json.WriteStartObject();
        foreach (Action write in writers.Values)
            write();
        json.WriteEndObject();
    }

    /// <summary>
    /// Returns the metadata of the weights file, which add to the config: the method's exact name, and settings without
    /// a key in PEFT's config.
    /// </summary>
    public static Dictionary<string, string> Metadata(AdapterConfig config)
    {
        AdapterMethod method = config.Method;
        Dictionary<string, string> metadata = new() { ["format"] = "pt", [MethodKey] = method.Name };
        if (config.IncludesStart)
            metadata[StartKey] = StartIncluded;
        if (config.Options.TargetParameters.Count > 0)
            metadata[ExpertsKey] = ExpertsApart;
        if (config.Options.BiasModules.Count > 0)
            metadata[BiasKey] = BiasListed;
        if (config.BaseForm is { } form)
            metadata[BaseFormKey] = form;
        if (config.SoftPrompt is { } prompt)
        {
            using MemoryStream stream = new();
            Write(prompt, stream);
            metadata[SoftPromptKey] = Encoding.UTF8.GetString(stream.ToArray());
        }

        if (method.PeftFields is null)
            return metadata;
        if (method.UsesTopK)
            metadata[SettingKey + TopKKey] = $"{config.Options.TopK}";
        foreach (
            AdapterSetting setting in method.Settings.Where(setting =>
                setting.PeftKey is null && config.Options.Settings.ContainsKey(setting.Name)
            )
        )
        {
            metadata[SettingKey + setting.Name] =
                setting.Choices.Count > 0
                    ? setting.Describe(config.Options.Settings[setting.Name])
                    : FormattableString.Invariant($"{config.Options.Settings[setting.Name]:R}");
        }

        return metadata;
    }

    /// <summary>
    /// Returns the settings for a file of twice the rank, which also holds the start values; <see cref="Halved"/>
    /// reverses it.
    /// </summary>
    private static AdapterOptions Doubled(AdapterOptions options) =>
        Scaled(options, rank => checked(2 * rank), options.RankStabilized ? Math.Sqrt(2) : 2);

    private static void WritePattern(Utf8JsonWriter json, string key, ModulePattern pattern)
    {
        if (pattern.Names is null)
            json.WriteString(key, pattern.Text);
        else
            WriteList(json, key, pattern.Names, json.WriteStringValue);
    }

    private static void WriteList<T>(Utf8JsonWriter json, string key, IEnumerable<T> items, Action<T> write)
    {
        json.WriteStartArray(key);
        foreach (T item in items)
            write(item);
        json.WriteEndArray();
    }
}
