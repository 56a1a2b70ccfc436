using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// Which tensors of a model an adapter carries whole beside its factors, with PEFT's rules for <c>modules_to_save</c>:
/// an entry means every module whose path ends in it, character by character, and all that is in it.
/// </summary>
internal static class SavedModules
{
    /// <summary>The tensors of the modules that some entries mean, in model order.</summary>
    /// <exception cref="InputException">An entry means no module of the model.</exception>
    public static IReadOnlyList<SavedTensor> Of(ModelConfig model, IReadOnlyList<string> modules)
    {
        TensorSpec[] all = [.. ModelTensors.Untied(model)];
        if (Unknown(all, modules) is { } unknown)
        {
            throw new InputException(
                $"the module {InputText.Quote(unknown)}, to be trained along, is none of the "
                    + "model; expected ends of names like embed_tokens, lm_head, norm, input_layernorm, q_proj"
            );
        }

        return
        [
            .. all.Where(tensor => Includes(modules, tensor.Name))
                .Select(tensor => SavedTensor.Of(tensor, trains: true)),
        ];
    }

    /// <summary>
    /// The biases that train although their layers are no targets: all others, where all biases train.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="options">The adapter's settings.</param>
    /// <param name="adapted">The adapted layers.</param>
    public static IReadOnlyList<SavedTensor> OtherBiases(
        ModelConfig model,
        AdapterOptions options,
        IReadOnlyList<AdaptedModule> adapted
    )
    {
        if (options.Bias != AdapterBias.All)
            return [];
        var names = adapted.Select(module => module.Shape.Name).ToHashSet();
        return
        [
            .. ModelTensors
                .Linears(model)
                .Where(linear => linear.HasBias && !names.Contains(linear.Name))
                .Where(linear => !Includes(options.ModulesToSave, linear.Bias))
                .Select(linear => SavedTensor.Of(new TensorSpec(linear.Bias, [linear.Outputs]), trains: true)),
        ];
    }

    /// <summary>The first entry that means no module of a model; null if there is none.</summary>
    public static string? Unknown(IReadOnlyList<TensorSpec> model, IReadOnlyList<string> modules) =>
        modules.FirstOrDefault(module => !model.Any(tensor => Includes([module], tensor.Name)));

    /// <summary>Whether a tensor is one of a module that an entry means, or of a module within it.</summary>
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
    /// Whether a layer takes no adapter because it, or a module around it, is saved whole. PEFT compares whole parts of
    /// names here, unlike above.
    /// </summary>
    public static bool Exclude(IReadOnlyList<string> modules, string layer) =>
        modules.Any(entry => $".{layer}.".Contains($".{entry}.", StringComparison.Ordinal));
}
