using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Merging;

/// <summary>
/// Converts any adapter whose form is low-rank terms only into an exactly equivalent plain LoRA, which every program
/// that reads PEFT folders can load: <c>lora_A = [R1; R2; …]</c>, <c>lora_B = [s1·L1·diag(c1), s2·L2·diag(c2), …]</c>,
/// alpha = r, so that the scale is 1.
/// </summary>
/// <example>
/// <code>
/// using var folder = ModelFolder.Open(modelPath); // for methods whose factors depend on the base weight
/// int tensors = LoraExporter.Export(adapterPath, outputPath, device, folder);
/// </code>
/// </example>
public static class LoraExporter
{
    /// <summary>
    /// Writes the adapter in <paramref name="adapterDirectory"/> as a plain LoRA to <paramref name="outputDirectory"/>.
    /// </summary>
    /// <remarks>
    /// Modules of smaller rank are padded with zeros, so that all have the same rank: not every program knows
    /// rank_pattern.
    /// </remarks>
    /// <param name="adapterDirectory">The folder of the adapter.</param>
    /// <param name="outputDirectory">An existing folder for the result.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="model">The base model; null if the adapter's terms do not depend on it.</param>
    /// <param name="type">The type to store: F32, F16 or BF16.</param>
    /// <returns>The number of tensors written.</returns>
    /// <exception cref="InputException">
    /// The adapter is malformed, has no equivalent plain LoRA, or needs the base model; or a value is not finite, or
    /// too large for the type.
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
        EquivalentLora lora = new(adapter, adapterDirectory, model);
        foreach (AdaptedModule module in adapter.Modules)
            lora.Check(module, allowsBias: true);
        int rank = adapter.Modules.Max(module => module.Form.Rank);
        bool keepsTied = adapter.Options.KeepTied && model?.Config.TieWordEmbeddings != false;
        List<TensorToWrite> tensors = [];
        foreach (AdaptedModule module in adapter.Modules)
        {
            (string name, int outputs, int inputs) = (module.Shape.Name, module.Shape.Out, module.Shape.In);
            CheckSize(module, (long)Math.Max(inputs, outputs) * rank);
            if (module.Shape.IsEmbedding)
            {
                Add(
                    LoraNames.EmbeddingA,
                    [rank, outputs],
                    form => HostMatrix.Transposed(EquivalentLora.Left(form, rank, outputs), outputs, rank)
                );
                Add(
                    LoraNames.EmbeddingB,
                    [inputs, rank],
                    form => HostMatrix.Transposed(EquivalentLora.Right(form, rank, inputs), rank, inputs)
                );
                if (keepsTied)
                {
                    ModuleShape head = module.Shape with { Name = ModelFamilies.HeadOf(name) };
                    Func<float[]> right = Read(form => EquivalentLora.Right(form, rank, inputs));
                    Func<float[]> left = Read(form => EquivalentLora.Left(form, rank, outputs));
                    tensors.AddRange(TiedHead.Copies(head, rank, type, right, left));
                }
                continue;
            }
            Add(LoraNames.A, [rank, inputs], form => EquivalentLora.Right(form, rank, inputs));
            Add(LoraNames.B, [outputs, rank], form => EquivalentLora.Left(form, rank, outputs));
            if (module.TrainsBias)
                Add(AdapterTensors.WrappedBias, [outputs], form => form.Bias!.Value.ToArray());

            void Add(string leaf, long[] shape, Func<AdapterForm, float[]> read) =>
                tensors.Add(TensorToWrite.Floats(AdapterFolder.KeyOf(name, leaf), type, shape, Read(read)));

            Func<float[]> Read(Func<AdapterForm, float[]> read) => () => lora.Evaluate(module, device, read);
        }
        foreach (SavedTensor saved in adapter.Saved)
        {
            string name = saved.KeyOf(isAdapted: adapter.Modules.Any(module => module.Shape.Name == saved.Module));
            tensors.Add(TensorToWrite.Floats(name, type, saved.Shape.Dimensions(), adapter.Stored(saved).ToFloats));
            if (keepsTied && model is not null && saved is { IsEmbedding: true, Tokens: null, Trains: true })
                tensors.Add(TiedHead.Copy(saved, type, adapter.Stored(saved).ToFloats));
        }
        using var folder = AdapterFolder.Open(adapterDirectory);
        AdapterConfig config = folder.Config with
        {
            Method = AdapterMethods.Find("lora"),
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
}
