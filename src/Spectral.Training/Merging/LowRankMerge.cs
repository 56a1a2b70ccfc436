using System.Numerics.Tensors;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>Writes a merge as a plain LoRA in place of a checkpoint.</summary>
internal static class LowRankMerge
{
    /// <summary>Writes the LoRA folder.</summary>
    /// <exception cref="InputException">No linear layer is changed, or a value is not finite.</exception>
    public static LowRankResult Write(
        MergeRun run,
        TensorMerge merge,
        string directory,
        string baseModel,
        int rank,
        StoredType type
    )
    {
        List<LowRankLayer> layers = [];
        List<TensorToWrite> tensors = [];
        List<string> leftOut = [];
        (double lacking, double all) = (0, 0);
        foreach (string name in run.Names)
        {
            if (run.IsMerged(name) && name == run.Place(name).Name)
                Add(run.Open(name));
            run.Report(name);
        }
        if (layers.Count == 0)
            throw new InputException("the inputs change no linear layer of the model, so that no adapter is left");
        string[] modules = [.. layers.Select(layer => layer.Name)];
        AdapterConfig config = new()
        {
            Method = AdapterMethods.Find("lora"),
            Options = new AdapterOptions
            {
                Rank = rank,
                Alpha = rank,
                TargetModules = modules,
            },
            TargetModules = ModulePattern.Of(modules),
            BaseModel = baseModel,
        };
        AdapterFolder.Write(directory, config, tensors);
        return new LowRankResult(layers, Math.Sqrt(lacking / all), leftOut);

        void Add(MergeTensor tensor)
        {
            PieceMerge values = merge(tensor);
            float[] change = tensor.Whole(
                (piece, part) =>
                {
                    values(piece, part);
                    TensorPrimitives.Subtract(part, piece.Base, part);
                }
            );
            if (FiniteValues.FirstNonFinite(change) is >= 0 and var at)
            {
                throw new InputException(
                    $"tensor {tensor.Name} has come to {FiniteValues.Describe(change[at], at, tensor.Shape)}, "
                        + "expected finite numbers"
                );
            }

            double norm = change.Sum(value => (double)value * value);
            all += norm;
            if (norm == 0)
                return;
            if (!tensor.Place.IsLinear)
            {
                leftOut.Add(tensor.Name);
                lacking += norm;
                return;
            }

            (int outputs, int inputs) = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
            var low = LowRankChange.Of(run.Device, change, outputs, inputs, rank);
            lacking += low.Lacking;
            string module = ModelTensors.ModuleOf(tensor.Name);
            layers.Add(new LowRankLayer(module, outputs, inputs, Math.Sqrt(low.Lacking / norm)));
            tensors.Add(Factor(module, LoraNames.A, [rank, inputs], low.Right));
            tensors.Add(Factor(module, LoraNames.B, [outputs, rank], low.Left));
        }

        TensorToWrite Factor(string module, string leaf, long[] shape, float[] values) =>
            TensorToWrite.Floats(AdapterFolder.KeyOf(module, leaf), type, shape, () => values);
    }
}
