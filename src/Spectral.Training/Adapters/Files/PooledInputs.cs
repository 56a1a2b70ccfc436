using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// QALoRA: A reads means of groups of inputs (<c>use_qalora</c>). PEFT does so at layers of a GPTQ-quantised base
/// alone, which is not read here; at any other layer its factors are those of a plain LoRA.
/// </summary>
internal static class PooledInputs
{
    /// <summary>Refuses factors that read means of inputs.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="tensors">Its tensors.</param>
    /// <param name="layers">The model's layers; null: there is no model at hand, and what A has columns for cannot be
    /// told.</param>
    /// <exception cref="InputException">The adapter has such factors, or may have.</exception>
    public static void Refuse(AdapterFolder folder, AdapterTensors tensors, IReadOnlyList<ModuleShape>? layers)
    {
        if (folder.Config.InputsPooled is not { } group)
            return;
        if (layers is null)
        {
            throw new InputException(
                $"{folder.Directory}: use_qalora may make its factors those of a quantised base; "
                    + "expected the model beside the adapter"
            );
        }

        foreach (ModuleShape layer in layers)
        {
            if (
                tensors.Of(layer.Name).GetValueOrDefault(LoraNames.A) is { Shape: [_, var columns] } a
                && columns != layer.In
                && columns * group == layer.In
            )
            {
                throw new InputException(
                    $"{a.Path}: tensor {InputText.Quote(a.Name)} has a column for {group} inputs "
                        + "each (use_qalora): it belongs to a base quantised by GPTQ, which is not supported"
                );
            }
        }
    }
}
