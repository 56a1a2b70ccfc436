using System.Text.RegularExpressions;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>
/// Merges plain LoRAs factor by factor, as PEFT's <c>add_weighted_adapter</c> does for its types without <c>svd</c>: a
/// method makes one A of the inputs' A_i and one B of their B_i, as if each were a change of 0. An input with weight w
/// and scale s has the weight sign(w s) √|w s| for its A and √|w s| for its B. The result is a LoRA of the inputs' rank
/// and scale 1; the product B A has cross terms between the inputs.
/// </summary>
internal static class FactorMerge
{
    /// <summary>Writes the LoRA folder and returns the number of tensors.</summary>
    /// <exception cref="InputException">
    /// An input is more than a plain LoRA of linear layers in blocks, ranks of a layer differ, or a value is not finite
    /// or too large for the type.
    /// </exception>
    public static int Write(MergeRun run, TensorMerge merge, string directory, string baseModel, StoredType type)
    {
        if (run.Merged.Count == 0)
            throw new InputException("the inputs change no linear layer of the model, so that no adapter is left");
        List<TensorToWrite> tensors = [];
        List<(string Module, int Rank)> layers = [];
        foreach (string name in run.Merged)
        {
            PlainFactors?[] factors = [.. Enumerable.Range(0, run.Inputs).Select(input => Factors(run, name, input))];
            string module = ModelTensors.ModuleOf(name);
            int rank = CommonRank(run, module, factors);
            layers.Add((module, rank));
            tensors.Add(Merged(LoraNames.A, factor => factor.Right, [rank, run.Stored(name).Shape[1]], isRight: true));
            tensors.Add(Merged(LoraNames.B, factor => factor.Left, [run.Stored(name).Shape[0], rank], isRight: false));
            run.Report(name);

            TensorToWrite Merged(string leaf, Func<PlainFactors, float[]> side, long[] shape, bool isRight)
            {
                string key = AdapterFolder.KeyOf(module, leaf);
                long count = shape[0] * shape[1];
                MergeTensor tensor = new(
                    run,
                    run.Place(name) with
                    {
                        Name = key,
                    },
                    shape,
                    [.. factors.Select(factor => factor is null ? new float[count] : side(factor))],
                    [.. factors.Select((factor, input) => Weight(run.Weights[input], factor, isRight))]
                );
                float[] values = tensor.Whole(merge(tensor));
                return TensorToWrite.Floats(key, type, shape, () => values);
            }
        }
        int largest = layers.Max(layer => layer.Rank);
        (string Key, int Rank)[] smaller =
        [
            .. layers.Where(layer => layer.Rank < largest).Select(layer => (Regex.Escape(layer.Module), layer.Rank)),
        ];
        string[] modules = [.. layers.Select(layer => layer.Module)];
        AdapterConfig config = new()
        {
            Method = AdapterMethods.Find("lora"),
            Options = new AdapterOptions
            {
                Rank = largest,
                Alpha = largest,
                RankPattern = [.. smaller.Select(layer => KeyValuePair.Create(layer.Key, layer.Rank))],
                AlphaPattern = [.. smaller.Select(layer => KeyValuePair.Create(layer.Key, (double)layer.Rank))],
                TargetModules = modules,
            },
            TargetModules = ModulePattern.Of(modules),
            BaseModel = baseModel,
        };
        AdapterFolder.Write(directory, config, tensors);
        return tensors.Count;
    }

    private static double Weight(double weight, PlainFactors? factor, bool isRight)
    {
        double scaled = weight * (factor?.Scale ?? 0);
        return Math.Sqrt(Math.Abs(scaled)) * (isRight && scaled < 0 ? -1 : 1);
    }

    /// <summary>Returns the factors of an input's change of a tensor; null: the input does not change it.</summary>
    private static PlainFactors? Factors(MergeRun run, string name, int input)
    {
        if (!run.Changes(name, input))
            return null;
        return run.Place(name).IsLinear && run.PlainFactorsOf(name, input) is { } factors
            ? factors
            : throw new InputException(
                $"{run.DirectoryOf(input)}: its change of {name} is no plain LoRA of a linear layer, the only kind "
                    + "whose factors can be merged; without --factors it can be merged as it is"
            );
    }

    private static int CommonRank(MergeRun run, string module, PlainFactors?[] factors)
    {
        int first = Array.FindIndex(factors, factor => factor is not null);
        int other = Array.FindIndex(factors, factor => factor is not null && factor.Rank != factors[first]!.Rank);
        return other < 0
            ? factors[first]!.Rank
            : throw new InputException(
                $"{module} has rank {factors[first]!.Rank} in {run.DirectoryOf(first)} and {factors[other]!.Rank} in "
                    + $"{run.DirectoryOf(other)}; expected equal ranks, or no --factors"
            );
    }
}
