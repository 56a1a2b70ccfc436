using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <content>Checks that config, tensors and model agree.</content>
public sealed partial class AdapterReader
{
    /// <summary>
    /// Returns the modules of the model that an adapter can have: its layers, or those of a soft prompt. Null: unknown.
    /// </summary>
    private ModuleShape[]? Layers(AdapterConfig config, ModelConfig? model, bool takesPrompts)
    {
        if (config.Prompt is not { } stored)
            return model is null ? null : [.. ModelTensors.Adaptable(model).Select(ModuleShape.Of)];
        var prompt = (PromptMethod)config.Method;
        if (!takesPrompts || model is null)
        {
            throw new InputException(
                $"{_folder.Directory}: a soft prompt ({prompt.Name}), which is no change of weights; expected an "
                    + "adapter of layers here. eval, generate and finetune take soft prompts"
            );
        }

        var sizes = PromptSizes.Of(model);
        PromptFields.Check(AdapterConfigFile.Path(_folder.Directory), prompt, stored, sizes);
        return [prompt.ModuleOf(sizes)];
    }

    /// <summary>Opens the soft prompt beside the layers, or warns that it is left out.</summary>
    private AdapterReader? OpenPrompt(ModelConfig? model, bool takesPrompts)
    {
        if (_folder.SoftPrompt is not { } prompt)
        {
            return takesPrompts && Method.PromptBeside(Options) is not null
                ? throw new InputException(
                    $"{_folder.WeightsPath}: {Method.Name} has virtual tokens beside its layers, of which the files "
                        + "have none"
                )
                : null;
        }

        if (takesPrompts && model is not null)
            return new AdapterReader(1, prompt, model, null, takesPrompts: true);
        _warnings.Add(
            $"{_folder.Directory}: the soft prompt beside the layers ({prompt.Config.Method.Name}) is no change of "
                + "weights and is left out; spectral export --format soft-prompt writes it by itself"
        );
        return null;
    }

    /// <summary>
    /// Checks that the modules with tensors are layers of the model and match the config, and that some module does.
    /// </summary>
    private void CheckModules(IReadOnlyList<ModuleShape>? layers)
    {
        var meant = layers?.Select(layer => layer.Name).ToHashSet();
        foreach (string module in _tensors.Modules)
        {
            if (meant?.Contains(module) == false)
            {
                throw new InputException(
                    $"{_folder.WeightsPath}: adapts {InputText.Quote(module)}, which is no layer "
                        + "of the model that can be adapted; is it the adapter of another model?"
                );
            }

            if (!_folder.Config.Matches(module) && !(Options.KeepTied && ModelFamilies.IsHead(module)))
            {
                _warnings.Add(
                    $"{_folder.WeightsPath}: the tensors of {InputText.Quote(module)} are ignored, as "
                        + "target_modules does not match it"
                );
            }
        }
        if (!Method.HasTensorsOfLayers)
        {
            if (layers is null)
            {
                throw new InputException(
                    $"{_folder.Directory}: files of {Method.Name} have no tensors of single layers, expected the model "
                        + "too, whose layers it adapts"
                );
            }

            return;
        }

        if (!_tensors.Modules.Any(_folder.Config.Matches))
        {
            throw new InputException(
                _folder.Config.Prompt is null
                    ? $"{_folder.WeightsPath}: no adapted modules, expected tensors like "
                        + $"{AdapterFolder.KeyOf("<module>", "<tensor>")} of modules that target_modules matches"
                    : $"{_folder.WeightsPath}: no virtual tokens, expected a tensor {PromptMethod.TensorName}"
            );
        }
    }

    /// <summary>
    /// Returns the layers that have tensors. The others stay as they are: PEFT gives them start values, which with most
    /// methods change nothing.
    /// </summary>
    private List<ModuleShape> WithTensors(List<ModuleShape> meant)
    {
        List<ModuleShape> missing = [.. meant.Where(layer => _tensors.Of(layer.Name).Count == 0)];
        if (missing.Count == 0 || !Method.HasTensorsOfLayers)
            return meant;
        if (!Method.StartsAtBase || _folder.Config.StartsAtRandom)
        {
            throw new InputException(
                $"{_folder.WeightsPath}: no tensors for {missing[0].Name}, which target_modules "
                    + "of the adapter's config matches in the model, and a fresh adapter of this config would change it"
            );
        }

        _warnings.Add(
            $"{_folder.WeightsPath}: no tensors for {missing.Count} of the {meant.Count} layers that "
                + $"target_modules matches, the first {missing[0].Name}; they stay as they are in the model"
        );
        _leftOut = true;
        return [.. meant.Except(missing)];
    }

    private bool HasBias(string module) => _tensors.Of(module).ContainsKey(AdapterTensors.WrappedBias);

    /// <summary>
    /// Determines which of the biases that the config calls trained are in the file. With bias lora_only, PEFT up to
    /// 0.20 omits all of them.
    /// </summary>
    /// <param name="adapted">The adapted layers.</param>
    /// <param name="layers">All layers that can be adapted; null: they are not known.</param>
    /// <param name="biased">The layers whose biases are in the file; none if all of them are, or none.</param>
    private AdapterBias StoredBiases(
        List<ModuleShape> adapted,
        IReadOnlyList<ModuleShape>? layers,
        out IReadOnlyList<string> biased
    )
    {
        biased = [];
        if (Options.Bias == AdapterBias.None)
            return AdapterBias.None;
        var others = _saved.Select(tensor => tensor.Name).ToHashSet();
        List<string> missing =
        [
            .. adapted.Where(module => module.HasBias && !HasBias(module.Name)).Select(module => module.Name),
        ];
        if (Options.Bias == AdapterBias.All)
        {
            missing.AddRange(
                (layers ?? [])
                    .Where(layer => layer.HasBias && !adapted.Contains(layer))
                    .Where(layer => !others.Contains(layer.Name + AdapterTensors.Bias))
                    .Select(layer => layer.Name)
            );
        }

        if (missing.Count > 0)
        {
            biased =
            [
                .. adapted.Where(module => HasBias(module.Name)).Select(module => module.Name),
                .. others
                    .Where(name => name.EndsWith(AdapterTensors.Bias, StringComparison.Ordinal))
                    .Select(name => name[..^AdapterTensors.Bias.Length]),
            ];
        }

        if (missing.Count > 0 && !_folder.Config.ListsBiases)
        {
            _warnings.Add(
                $"{_folder.WeightsPath}: the config says that biases were trained, but the file has none "
                    + $"for {missing.Count} layers, the first {missing[0]}; the model's own are used"
            );
        }
        // A bias of a layer without factors, such as one whose rank was reduced to 0. Only "all" includes it when the
        // adapter is saved again.
        if (
            others.Any(name =>
                name.EndsWith(AdapterTensors.Bias, StringComparison.Ordinal)
                && !SavedModules.Includes(Options.ModulesToSave, name)
            )
        )
        {
            return AdapterBias.All;
        }

        return adapted.Exists(module => HasBias(module.Name)) ? Options.Bias : AdapterBias.None;
    }

    private AdapterOptions WithoutMissingBias(ModuleShape module)
    {
        AdapterOptions options = Describe(module.Name);
        return HasBias(module.Name) ? options : options with { Bias = AdapterBias.None };
    }

    /// <summary>
    /// Warns of entries that match no layer. They change nothing, in PEFT as here, but may be typing errors.
    /// </summary>
    private void WarnOfUnmatched(IReadOnlyList<ModuleShape>? layers)
    {
        AdapterConfig config = _folder.Config;
        string[] names = [.. (layers?.Select(module => module.Name) ?? _tensors.Modules).Where(config.Matches)];
        string[] matched = [.. names.Select(config.Options.PatternName)];
        foreach (AdapterSetting setting in Method.Settings)
        {
            if (
                config.Options.SettingPatterns.TryGetValue(
                    setting.Name,
                    out IReadOnlyList<KeyValuePair<string, double>>? pattern
                ) && ModulePattern.Unmatched(pattern, names) is { } unmatched
            )
            {
                Warn(setting.PeftPatternKey!, InputText.Quote(unmatched));
            }
        }

        foreach (
            (string key, string? entry) in new[]
            {
                ("rank_pattern", ModulePattern.Unmatched(config.Options.RankPattern, matched)),
                ("alpha_pattern", ModulePattern.Unmatched(config.Options.AlphaPattern, matched)),
                ("exclude_modules", config.ExcludeModules?.Unmatched(layers?.Select(layer => layer.Name))),
            }
        )
        {
            if (entry is not null)
                Warn(key, InputText.Quote(entry));
        }

        foreach (int layer in layers is null ? [] : config.LayersToTransform ?? [])
        {
            if (!layers!.Any(module => config.IsIn(layer, module.Name)))
                Warn("layers_to_transform", $"{layer}");
        }

        void Warn(string key, string entry) =>
            _warnings.Add(
                $"{AdapterConfigFile.Path(_folder.Directory)}: {key} {entry} matches no layer and is ignored"
            );
    }

    private void CheckTensors(AdaptedModule module)
    {
        StoredTensor[] declared = [.. module.Stored(LacksStart)];
        foreach (StoredTensor stored in declared.Where(stored => !IsAbsent(module, stored)))
            _tensors.Find(module, stored);
        foreach ((string leaf, AdapterTensor tensor) in _tensors.Of(module.Shape.Name))
        {
            if (!Array.Exists(declared, stored => stored.Name == leaf))
            {
                IEnumerable<string> own = declared.Where(stored => !stored.IsShared).Select(stored => stored.Name);
                throw new InputException(
                    $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} is not one that {Method.Name} has "
                        + $"for this layer with these settings, expected {string.Join(", ", own)}"
                );
            }
        }
    }
}
