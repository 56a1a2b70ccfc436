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
        (TensorToWrite Tensor, SafetensorsTensor Source)[] written =
        [
            .. run.Names.SelectMany(name => Written(run, merge, name).Select(tensor => (tensor, run.Stored(name)))),
        ];
        WeightShards.Write(directory, written);
        (string origin, StoredType? type) = (run.Model.Directory, run.Options.Type);
        bool isUntied = run.Parts || run.Model.IsUntied;
        ConfigCopy.Write(origin, directory, type, isUntied, run.Options.Output?.Settings(type));
        ModelCompanions.Copy(origin, directory);
        return written.Length;
    }

    /// <summary>Computes all values of a tensor of the result, and counts it as done.</summary>
    internal static float[] Values(MergeRun run, TensorMerge merge, string name)
    {
        float[] values = run.IsMerged(name) ? Whole(run.Open(name)) : run.Stored(name).ToFloats();
        run.Report(name);
        return values;

        float[] Whole(MergeTensor tensor) => tensor.Whole(merge(tensor));
    }

    // Of the parts of a quantised weight, the first counts as the tensor that is done.
    private static IEnumerable<TensorToWrite> Written(MergeRun run, TensorMerge merge, string name)
    {
        StoredType? type = run.Options.Type;
        IEnumerable<TensorToWrite> parts =
            run.Options.Output is { } output && output.Takes(name)
                ? output.Tensors(run.Stored(name), Merged(run, merge, name, StoredType.F32), run.IsMerged(name), type)
                : [Merged(run, merge, name, type)];
        return parts.Select((part, i) => i > 0 ? part : part with { Write = stream => Report(part, stream) });

        void Report(TensorToWrite part, Stream stream)
        {
            part.Write(stream);
            run.Report(name);
        }
    }

    private static TensorToWrite Merged(MergeRun run, TensorMerge merge, string name, StoredType? type)
    {
        SafetensorsTensor stored = run.Stored(name);
        return run.IsMerged(name)
            ? TensorToWrite.FloatPieces(name, type ?? stored.Type, stored.Shape, Pieces)
            : Merger.Unchanged(stored, name, type, isUsed: run.IsUsed(name));

        IEnumerable<ReadOnlyMemory<float>> Pieces()
        {
            MergeTensor opened = run.Open(name);
            return opened.InOrder(merge(opened));
        }
    }
}
