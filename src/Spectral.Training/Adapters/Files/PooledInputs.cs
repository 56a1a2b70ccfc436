using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// Refuses QALoRA (<c>use_qalora</c>), where A reads means of groups of inputs. PEFT does so only for layers of a base
/// quantised with GPTQ, which is not supported here. For any other layer the factors are those of a plain LoRA.
/// </summary>
internal static class PooledInputs
{
    /// <summary>Refuses an adapter whose factors read means of inputs.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="tensors">The tensors of the folder.</param>
    /// <param name="layers">
    /// The model's layers; null if the model is unknown, so that the meaning of A's columns is unknown too.
    /// </param>
    /// <exception cref="InputException">The adapter has such factors, or may have them.</exception>
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
