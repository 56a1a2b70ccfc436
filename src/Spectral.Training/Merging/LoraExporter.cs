using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Adapters.Methods;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;
using Spectral.Training.Optim;

namespace Spectral.Training.Merging;

/// <summary>
/// Turns any adapter whose form is low-rank terms alone into an exactly equivalent plain LoRA, which every consumer of
/// PEFT folders loads: <c>lora_A = [R1; R2; …]</c>, <c>lora_B = [s1·L1·diag(c1), s2·L2·diag(c2), …]</c>, alpha = r, so
/// that the scale is 1. The terms' values are those that the kernels read; the last product is computed in double and
/// rounded once.
/// </summary>
public static class LoraExporter
{
    /// <summary>
    /// Writes the adapter in <paramref name="adapterDirectory"/> as a plain LoRA to <paramref name="outputDirectory"/>.
    /// </summary>
    /// <remarks>
    /// Modules of smaller rank are filled up with zeros, so that one rank holds for all: not every consumer knows
    /// rank_pattern.
    /// </remarks>
    /// <param name="adapterDirectory">The adapter.</param>
    /// <param name="outputDirectory">An existing folder for the result.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="model">The base model; null where the adapter's terms do not depend on it.</param>
    /// <param name="type">The type to store: F32, F16 or BF16.</param>
    /// <returns>The number of tensors written.</returns>
    /// <exception cref="InputException">
    /// The adapter is malformed, is no plain LoRA's equal, or needs the base model; or a value is not finite, or too
    /// large for the type.
    /// </exception>
    public static int Export(
        string adapterDirectory,
        string outputDirectory,
        Device device,
        ModelFolder? model = null,
        StoredType type = StoredType.F32
    )
    {
        using AdapterReader adapter = model is null
            ? new AdapterReader(adapterDirectory)
            : new AdapterReader(adapterDirectory, model);
        foreach (AdaptedModule module in adapter.Modules)
            Check(adapterDirectory, adapter, module, model, allowsBias: true);
        int rank = adapter.Modules.Max(module => module.Form.Rank);
        bool keepsTied = adapter.Options.KeepTied && model?.Config.TieWordEmbeddings != false;
        List<TensorToWrite> tensors = [];
        foreach (AdaptedModule module in adapter.Modules)
        {
            (string name, int outputs, int inputs) = (module.Shape.Name, module.Shape.Out, module.Shape.In);
            CheckSize(module, (long)Math.Max(inputs, outputs) * rank);
            if (module.Shape.IsEmbedding)
            {
                Add(LoraMethod.EmbeddingA, [rank, outputs], form => Transposed(Left(form, rank, outputs), outputs));
                Add(LoraMethod.EmbeddingB, [inputs, rank], form => Transposed(Right(form, rank, inputs), rank));
                if (keepsTied)
                {
                    Func<float[]> right = Read(form => Right(form, rank, inputs));
                    Func<float[]> left = Read(form => Left(form, rank, outputs));
                    tensors.AddRange(TiedHead.Copies(module.Shape, rank, type, right, left));
                }
                continue;
            }
            Add(LoraMethod.A, [rank, inputs], form => Right(form, rank, inputs));
            Add(LoraMethod.B, [outputs, rank], form => Left(form, rank, outputs));
            if (module.TrainsBias)
                Add(AdapterTensors.WrappedBias, [outputs], form => form.Bias!.Value.ToArray());

            void Add(string leaf, long[] shape, Func<AdapterForm, float[]> read) =>
                tensors.Add(TensorToWrite.Floats(AdapterFolder.KeyOf(name, leaf), type, shape, Read(read)));

            Func<float[]> Read(Func<AdapterForm, float[]> read) => () => Evaluate(device, model, adapter, module, read);
        }
        foreach (SavedTensor saved in adapter.Saved)
        {
            string name = saved.KeyOf(isAdapted: adapter.Modules.Any(module => module.Shape.Name == saved.Module));
            tensors.Add(TensorToWrite.Floats(name, type, saved.Shape.Dimensions(), adapter.Stored(saved).ToFloats));
            if (keepsTied && model is not null && saved is { Name: ModelTensors.Embedding, Tokens: null, Trains: true })
                tensors.Add(TiedHead.Copy(saved, type, adapter.Stored(saved).ToFloats));
        }
        using var folder = AdapterFolder.Open(adapterDirectory);
        AdapterConfig config = folder.Config with
        {
            Method = new LoraMethod(),
            Options = new AdapterOptions
            {
                Rank = rank,
                Alpha = rank,
                Dropout = adapter.Options.Dropout,
                Bias = adapter.Options.Bias,
                ModulesToSave = adapter.Options.ModulesToSave,
                TrainableTokens = adapter.Options.TrainableTokens,
                KeepTied = adapter.Options.KeepTied,
            },
            LacksStart = false,
            IncludesStart = false,
            BaseTensorSha256 = new Dictionary<string, string>(),
        };
        AdapterFolder.Write(outputDirectory, config, tensors);
        return tensors.Count;
    }

    /// <summary>The rank of the plain LoRA that an adapter equals.</summary>
    /// <exception cref="InputException">It equals none, or its terms depend on the base weights.</exception>
    internal static int RankOf(AdapterReader adapter, string directory)
    {
        foreach (AdaptedModule module in adapter.Modules)
            Check(directory, adapter, module, null, allowsBias: false);
        return adapter.Modules.Max(module => module.Form.Rank);
    }

    /// <summary>L [out, rank], scales and middle in it, and R [rank, in] of one module, filled up with zeros.</summary>
    internal static (float[] Left, float[] Right) Factors(
        AdapterReader adapter,
        AdaptedModule module,
        int rank,
        Device device
    ) =>
        Evaluate(
            device,
            null,
            adapter,
            module,
            form => (Left(form, rank, module.Shape.Out), Right(form, rank, module.Shape.In))
        );

    private static void Check(
        string directory,
        AdapterReader adapter,
        AdaptedModule module,
        ModelFolder? model,
        bool allowsBias
    )
    {
        // A bias that trains beside the method stands in LoRA's files as it does in the adapter's own.
        AdapterForm form = allowsBias && module.TrainsBias ? module.Form with { Bias = null } : module.Form;
        if (!form.IsLowRank)
        {
            throw new InputException(
                $"{directory}: the {adapter.Method.Name} adapter of {module.Shape.Name} "
                    + $"is no plain LoRA's equal: {Reason(form)}; "
                    + (module.Form.IsMergeable ? "merge it instead (spectral merge)" : "it can only be used as it is")
            );
        }

        if (model is null && (module.ReadsWeight || adapter.LacksStart))
        {
            throw new InputException(
                $"{directory}: the terms of a {adapter.Method.Name} adapter follow from the base weights; expected --model, the model it was trained on"
            );
        }
    }

    private static string Reason(AdapterForm form) =>
        form switch
        {
            { Rectified: true } => "there is a rectifier between its factors",
            { Weight: not null } => "it changes the weight otherwise than by low-rank terms",
            { OutputScale: not null } => "it scales outputs",
            { InputScale: not null } => "it scales inputs",
            { Bias: not null } => "it changes biases",
            _ => "it has no low-rank terms",
        };

    private static void CheckSize(AdaptedModule module, long elements)
    {
        if (elements > Array.MaxLength)
        {
            throw new InputException(
                $"{InputText.Quote(module.Shape.Name)} would have a factor of {elements} elements, expected at most "
                    + $"{Array.MaxLength}"
            );
        }
    }

    private static T Evaluate<T>(
        Device device,
        ModelFolder? model,
        AdapterReader adapter,
        AdaptedModule module,
        Func<AdapterForm, T> read
    )
    {
        ModuleShape shape = module.Shape;
        bool readsBase = module.ReadsWeight || adapter.LacksStart;
        using BoundFactors factors = new(device, [module]);
        using Parameter? weight = readsBase ? Stored(".weight", (shape.Out, shape.In)) : null;
        using Parameter? bias = readsBase && shape.HasBias ? Stored(".bias", shape.Out) : null;
        adapter.Fill([module], _ => weight!.Value);
        if (readsBase)
            module.BindBase(new Linear(shape.Name, weight!, bias));
        ExpressionGraph graph = new(module.Form.Outputs, 0);
        try
        {
            return read(module.Form);
        }
        finally
        {
            graph.Clear();
        }

        Parameter Stored(string leaf, Shape size) =>
            new(shape.Name + leaf, Tensor.From(device, adapter.BaseOf(model!, shape.Name + leaf).ToFloats(), size));
    }

    private static float[] Transposed(float[] matrix, int rows)
    {
        int columns = matrix.Length / rows;
        float[] transposed = new float[matrix.Length];
        for (int i = 0; i < matrix.Length; i++)
            transposed[(i % columns * rows) + (i / columns)] = matrix[i];
        return transposed;
    }

    // [R1; R2; …; 0], [rank, in]. What scales the terms goes to the left factor.
    private static float[] Right(AdapterForm form, int rank, int inputs)
    {
        float[] right = new float[(long)rank * inputs];
        int at = 0;
        foreach (LowRankTerm term in form.Terms)
        {
            term.Right.Value.ToArray().CopyTo(right, at * inputs);
            at += term.Rank;
        }
        return right;
    }

    // [s1·L1·diag(c1), s2·L2·diag(c2), …, 0], [out, rank].
    private static float[] Left(AdapterForm form, int rank, int outputs)
    {
        float[] left = new float[(long)outputs * rank];
        int at = 0;
        foreach (LowRankTerm term in form.Terms)
        {
            float[] values = term.Left.Value.ToArray();
            float[]? middle = term.Middle?.Value.ToArray();
            for (int row = 0; row < outputs; row++)
            {
                for (int column = 0; column < term.Rank; column++)
                {
                    left[(row * rank) + at + column] = (float)(
                        term.Scale * (middle?[column] ?? 1.0) * values[(row * term.Rank) + column]
                    );
                }
            }

            at += term.Rank;
        }
        return left;
    }
}
