using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Calibration;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;

namespace Spectral.Training.Tests.Support;

/// <summary>What tests need to know about adapters, in double and by the formulas alone.</summary>
internal static class TestAdapters
{
    /// <summary>
    /// The names of all methods that change layers of any base and nothing else; the others are soft prompts, have one
    /// beside the layers, or need a base that is quantised.
    /// </summary>
    public static string[] LayerMethods { get; } =
    [
        .. AdapterMethods
            .All.Where(method =>
                method is not PromptMethod
                && method.PromptBeside(new AdapterOptions()) is null
                && !method.RequantizesBase
            )
            .Select(method => method.Name),
        "map(vera)",
    ];

    /// <summary>The form of the base that a method takes: any, unless it needs one that is quantised.</summary>
    public static BaseQuantization? BaseOf(AdapterMethod method) =>
        method.RequantizesBase ? new BaseQuantization(WeightFormat.Nf4) : null;

    /// <summary>The options that a method takes: a soft prompt has no targets.</summary>
    public static AdapterOptions For(AdapterMethod method, AdapterOptions options) =>
        method is PromptMethod ? options with { TargetModules = AdapterOptions.AllProjections } : options;

    /// <summary>Attaches any method: one that starts from data gets some.</summary>
    public static Adapter Attach(CausalLanguageModel model, AdapterMethod method, AdapterOptions options) =>
        Adapter.Attach(
            model,
            method,
            For(method, options),
            new ModelCalibration(model, TinyModels.Records(6, model.Config, new Random(21)), 3)
        );

    /// <summary>Gives every trainable factor random values, so that no gradient is zero.</summary>
    public static void Randomize(Adapter adapter, int seed)
    {
        OpenMasks(adapter);
        Random random = new(seed);
        foreach (Parameter parameter in adapter.Parameters.Parameters)
            parameter.Master.CopyFrom([.. parameter.Master.ToArray().Select(_ => (float)(random.NextDouble() - 0.5))]);
        adapter.Parameters.NotifyChanged();
    }

    /// <summary>
    /// Moves every trainable factor away from where it begins, not far: where that is a special place, such as a
    /// length, it stays near it.
    /// </summary>
    public static void Perturb(Adapter adapter, int seed)
    {
        OpenMasks(adapter);
        Random random = new(seed);
        foreach (Parameter parameter in adapter.Parameters.Parameters)
        {
            parameter.Master.CopyFrom([
                .. parameter.Master.ToArray().Select(value => value + 0.6f * (float)(random.NextDouble() - 0.5)),
            ]);
        }

        adapter.Parameters.NotifyChanged();
    }

    /// <summary>Gives masks that training has yet to fill the first entries of their weights.</summary>
    public static void OpenMasks(Adapter adapter)
    {
        foreach (AdaptedModule module in adapter.Modules.Where(module => module.Form.Entries.Count > 0))
        {
            Tensor index = module.Form.Entries[0].Index;
            if (Array.TrueForAll(index.ToInt32Array(), place => place < 0))
                index.CopyFrom([.. Enumerable.Range(0, (int)index.Count)]);
        }
    }

    /// <summary>The values of a factor; places of entries as numbers, exact below 2²⁴.</summary>
    public static float[] Numbers(Parameter factor) =>
        factor.Master.DType == DType.I32
            ? Array.ConvertAll(factor.Master.ToInt32Array(), place => (float)place)
            : factor.Master.ToArray();

    /// <summary>All tensors of a checkpoint.</summary>
    public static Dictionary<string, double[]> Weights(string directory)
    {
        using var file = SafetensorsFile.Open(Path.Combine(directory, "model.safetensors"));
        return file.Tensors.Values.ToDictionary(
            tensor => tensor.Name,
            tensor => Array.ConvertAll(InOrder(tensor), value => (double)value)
        );
    }

    /// <summary>The values of a tensor as [out, in]; the files of GPT-2 have its linear layers as [in, out].</summary>
    private static float[] InOrder(SafetensorsTensor tensor)
    {
        float[] values = tensor.ToFloats();
        bool exchanged = tensor.Name.StartsWith("transformer.h.", StringComparison.Ordinal) && tensor.Shape.Count == 2;
        if (!exchanged)
            return values;
        (int inputs, int outputs) = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
        return [.. values.Select((_, i) => values[i % inputs * outputs + i / inputs])];
    }

    /// <summary>
    /// U diag(σ∘δ) Vᵀ + (α/r)·B·A of one layer, or (α/r)·(B·A)ᵀ of an embedding; null when the layer has no adapter.
    /// </summary>
    public static double[]? Dense(Adapter adapter, string linear, IReadOnlyDictionary<string, double[]> factors)
    {
        if (adapter.Modules.FirstOrDefault(module => module.Shape.Name == linear) is not { } found)
            return null;
        (int rows, int columns) = (found.Shape.Out, found.Shape.In);
        double[] change = new double[rows * columns];
        if (factors.TryGetValue($"{linear}.spec_delta", out double[]? delta))
        {
            double[] sigma = factors[$"{linear}.spec_S"];
            Accumulate(
                factors[$"{linear}.spec_U"],
                [.. sigma.Select((s, i) => s * delta[i])],
                factors[$"{linear}.spec_V"]
            );
        }
        if (factors.TryGetValue($"{linear}.lora_B.weight", out double[]? b))
        {
            Accumulate(
                b,
                [.. Enumerable.Repeat(adapter.Options.Alpha / adapter.Options.Rank, adapter.Options.Rank)],
                factors[$"{linear}.lora_A.weight"]
            );
        }

        if (factors.TryGetValue($"{linear}.lora_embedding_A", out double[]? lookedUp))
        {
            double[] widened = factors[$"{linear}.lora_embedding_B"];
            int rank = adapter.Options.Rank;
            for (int token = 0; token < rows; token++)
            {
                for (int j = 0; j < columns; j++)
                {
                    for (int p = 0; p < rank; p++)
                    {
                        double product = widened[j * rank + p] * lookedUp[p * rows + token];
                        change[token * columns + j] += adapter.Options.Alpha / rank * product;
                    }
                }
            }
        }
        return change;

        void Accumulate(double[] left, double[] middle, double[] right)
        {
            for (int i = 0; i < rows; i++)
            {
                for (int j = 0; j < columns; j++)
                {
                    for (int p = 0; p < middle.Length; p++)
                        change[i * columns + j] += left[i * middle.Length + p] * middle[p] * right[p * columns + j];
                }
            }
        }
    }
}
