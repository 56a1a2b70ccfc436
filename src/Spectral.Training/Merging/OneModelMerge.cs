using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>
/// A merge into one model: with the changes τ_i = θ_i − θ0 of the inputs, the method says what becomes of each tensor
/// of the base θ0.
/// </summary>
internal abstract class OneModelMerge : MergeMethod
{
    /// <summary>Measures what concerns the whole model and returns what to do with a tensor.</summary>
    /// <exception cref="InputException">A setting does not suit the inputs.</exception>
    internal abstract TensorMerge Begin(MergeRun run);

    /// <summary>Writes a model folder with as many files of weights as the base has.</summary>
    internal sealed override int Write(MergeRun run, string directory)
    {
        TensorMerge merge = Begin(run);
        WeightShards.Write(directory, run.Names.Select(name => (Merged(run, merge, name), run.Stored(name))));
        string origin = run.Model.Directory;
        ConfigCopy.Write(origin, directory, run.Options.Type, isUntied: run.Parts || run.Model.IsUntied);
        ModelCompanions.Copy(origin, directory);
        return run.Names.Count;
    }

    /// <summary>Computes all values of a tensor of the result, and counts it as done.</summary>
    internal static float[] Values(MergeRun run, TensorMerge merge, string name)
    {
        float[] values = run.IsMerged(name) ? Whole(run.Open(name)) : run.Stored(name).ToFloats();
        run.Report(name);
        return values;

        float[] Whole(MergeTensor tensor) => tensor.Whole(merge(tensor));
    }

    private static TensorToWrite Merged(MergeRun run, TensorMerge merge, string name)
    {
        SafetensorsTensor stored = run.Stored(name);
        StoredType? type = run.Options.Type;
        TensorToWrite tensor = run.IsMerged(name)
            ? TensorToWrite.FloatPieces(name, type ?? stored.Type, stored.Shape, Pieces)
            : Merger.Unchanged(stored, name, type, isUsed: run.IsUsed(name));
        return tensor with
        {
            Write = stream =>
            {
                tensor.Write(stream);
                run.Report(name);
            },
        };

        IEnumerable<ReadOnlyMemory<float>> Pieces()
        {
            MergeTensor opened = run.Open(name);
            return opened.InOrder(merge(opened));
        }
    }
}
