using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;

namespace Spectral.Training.Spectra;

/// <summary>Changes of single weights of a tuned model, and the checkpoint that has them.</summary>
internal sealed class WeightCorrections
{
    private readonly Dictionary<string, Action<float[]>> _corrections = new(StringComparer.Ordinal);

    /// <summary>Checks that layers can be changed one by one.</summary>
    /// <exception cref="InputException">A layer shares its weight with another one.</exception>
    public static void Require(ModelFolder tuned, IEnumerable<LinearSpec> layers)
    {
        ModelFamily family = tuned.Config.Family;
        if (!tuned.Config.TieWordEmbeddings)
            return;
        if (layers.FirstOrDefault(layer => layer.Name == family.Head || layer.Name == family.Embedding) is { } shared)
        {
            throw new InputException(
                $"{shared.Weight}: is shared by embedding and head in {tuned.Directory}; to write a changed model, "
                    + "expected targets without these layers"
            );
        }
    }

    /// <summary>Adds what changes the values of a weight in place.</summary>
    public void Add(string name, Action<float[]> correct) => _corrections.Add(name, correct);

    /// <summary>
    /// Writes the tuned model with its corrections. All other tensors are those of the tuned model, or of the merged
    /// adapter. All tensors keep their types, and there are as many files of weights as the tuned model has.
    /// </summary>
    /// <exception cref="InputException">A value is too large for the stored type.</exception>
    public void Write(
        ModelFolder tuned,
        string? adapterDirectory,
        string directory,
        Device device,
        CancellationToken cancellation
    )
    {
        if (adapterDirectory is not null)
        {
            Merger.Merge(tuned, adapterDirectory, directory, device, cancellation, type: null, _corrections);
            return;
        }
        WeightShards.Write(
            directory,
            tuned
                .TensorNames.Order(StringComparer.Ordinal)
                .Select(name => (ToWrite(tuned[name]).StoppedBy(cancellation), tuned[name]))
        );
        ConfigCopy.Write(tuned.Directory, directory, type: null, isUntied: tuned.IsUntied);
        ModelCompanions.Copy(tuned.Directory, directory);
    }

    private TensorToWrite ToWrite(SafetensorsTensor source) =>
        _corrections.TryGetValue(source.Name, out Action<float[]>? correct)
            ? TensorToWrite.Floats(source.Name, source.Type, source.Shape, () => Corrected(source.ToFloats(), correct))
            : TensorToWrite.Copy(source);

    private static float[] Corrected(float[] weight, Action<float[]> correct)
    {
        correct(weight);
        return weight;
    }
}
