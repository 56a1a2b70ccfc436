using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// Selects the tensors of a model that an adapter stores whole beside its factors, by PEFT's rules for
/// <c>modules_to_save</c>: an entry stands for every module whose path ends in it, character by character, and for
/// everything inside that module.
/// </summary>
internal static class SavedModules
{
    /// <summary>Why some weights are not saved whole, after their name.</summary>
    public const string Transposed =
        "is stored [in, out], which is not supported for whole weights of an adapter, expected other modules";

    /// <summary>Lists the tensors of the modules that some entries match, in model order.</summary>
    /// <exception cref="InputException">An entry matches no module of the model.</exception>
    public static IReadOnlyList<SavedTensor> Of(ModelConfig model, IReadOnlyList<string> modules)
    {
        TensorSpec[] all = [.. ModelTensors.Untied(model)];
        if (Unknown(all, modules) is { } unknown)
        {
            throw new InputException(
                $"the module {InputText.Quote(unknown)}, to be trained as well, is not in the "
                    + "model; expected ends of names like embed_tokens, lm_head, norm, input_layernorm, q_proj"
            );
        }

        TensorSpec[] whole = [.. all.Where(tensor => Includes(modules, tensor.Name))];
        if (Array.Find(whole, tensor => tensor.IsTransposed) is { } transposed)
            throw new InputException($"to be trained as well: {transposed.Name} {Transposed}");
        return [.. whole.Select(tensor => SavedTensor.Of(tensor, trains: true))];
    }

    /// <summary>
    /// Lists the biases that train although their layers are not adapted. There are some only if all biases train.
    /// </summary>
    /// <param name="model">The model's config.</param>
    /// <param name="options">The adapter's settings.</param>
    /// <param name="adapted">The adapted layers.</param>
    /// <exception cref="InputException">
    /// An entry of <see cref="AdapterOptions.BiasModules"/> matches no layer with a bias.
    /// </exception>
    public static IReadOnlyList<SavedTensor> OtherBiases(
        ModelConfig model,
        AdapterOptions options,
        IReadOnlyList<AdaptedModule> adapted
    )
    {
        string[] biased =
        [
            .. ModelTensors.Linears(model).Where(linear => linear.HasBias).Select(linear => linear.Name),
        ];
        if (options.BiasModules.FirstOrDefault(entry => !biased.Any(ModulePattern.Of(entry).Matches)) is { } unknown)
        {
            throw new InputException(
                $"biases of {InputText.Quote(unknown)}: matches no layer with a bias; "
                    + (
                        biased.Length == 0
                            ? "this model has none"
                            : $"expected one of {string.Join(", ", biased.Select(ModelTensors.EndOf).Distinct())}"
                    )
            );
        }

        if (options.Bias != AdapterBias.All)
            return [];
        var names = adapted.Select(module => module.Shape.Name).ToHashSet();
        return
        [
            .. ModelTensors
                .Linears(model)
                .Where(linear => linear.HasBias && !names.Contains(linear.Name))
                .Where(linear => options.TrainsBiasOf(linear.Name))
                .Where(linear => !Includes(options.ModulesToSave, linear.Bias))
                .Select(linear => SavedTensor.Of(new TensorSpec(linear.Bias, [linear.Outputs]), trains: true)),
        ];
    }

    /// <summary>Returns the first entry that matches no module of a model; null if there is none.</summary>
    public static string? Unknown(IReadOnlyList<TensorSpec> model, IReadOnlyList<string> modules) =>
        modules.FirstOrDefault(module => !model.Any(tensor => Includes([module], tensor.Name)));

    /// <summary>Returns whether a tensor lies in a module that an entry matches, at any depth.</summary>
    public static bool Includes(IReadOnlyList<string> modules, string tensor)
    {
        for (int dot = tensor.LastIndexOf('.'); dot > 0; dot = tensor.LastIndexOf('.', dot - 1))
        {
            string module = tensor[..dot];
            if (modules.Any(entry => entry.Length > 0 && module.EndsWith(entry, StringComparison.Ordinal)))
                return true;
        }
        return false;
    }

    /// <summary>
    /// Returns whether a layer gets no adapter because it, or a module around it, is saved whole. Unlike above, PEFT
    /// compares whole components of names here.
    /// </summary>
    public static bool Exclude(IReadOnlyList<string> modules, string layer) =>
        modules.Any(entry => $".{layer}.".Contains($".{entry}.", StringComparison.Ordinal));
}
