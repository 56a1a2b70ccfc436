using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>
/// Writes the soft prompt beside an adapter of layers by itself, as PEFT stores it. A model into which the layers are
/// merged takes it as its adapter.
/// </summary>
public static class SoftPromptExporter
{
    /// <summary>
    /// Writes the virtual tokens of the adapter in <paramref name="adapterDirectory"/> to
    /// <paramref name="outputDirectory"/>.
    /// </summary>
    /// <param name="adapterDirectory">The folder of the adapter.</param>
    /// <param name="outputDirectory">An existing folder for the result.</param>
    /// <returns>The number of tensors written.</returns>
    /// <exception cref="InputException">The adapter is malformed, or has no soft prompt beside its layers.</exception>
    public static int Export(string adapterDirectory, string outputDirectory)
    {
        using var folder = AdapterFolder.Open(adapterDirectory);
        if (folder.SoftPrompt is not { } prompt)
        {
            throw new InputException(
                $"{adapterDirectory}: {folder.Config.Method.Name} without a soft prompt beside its layers, expected an "
                    + "adapter with one"
            );
        }

        TensorToWrite[] tensors =
        [
            .. prompt.Tensors.Select(tensor =>
                TensorToWrite.Floats(PromptMethod.TensorName, StoredType.F32, [.. tensor.Shape], tensor.ToFloats)
            ),
        ];
        if (tensors.Length != 1)
        {
            throw new InputException(
                $"{folder.WeightsPath}: no virtual tokens, expected a tensor {PromptMethod.TensorName}"
            );
        }

        AdapterFolder.Write(outputDirectory, prompt.Config, tensors);
        return tensors.Length;
    }
}
