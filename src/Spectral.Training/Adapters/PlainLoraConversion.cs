using System.Text.RegularExpressions;
using Spectral.Kernels;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters;

/// <summary>
/// Opens an adapter whose form is low-rank terms only, and writes it anew as a plain LoRA, with the same factors or
/// with others in their place. Trained biases, and modules and rows that train beside the adapter, stay as they are.
/// </summary>
internal sealed class PlainLoraConversion : IDisposable
{
    private readonly string _directory;
    private readonly Device _device;
    private readonly ModelFolder? _model;
    private readonly AdapterReader _adapter;
    private readonly EquivalentLora _lora;

    /// <summary>Opens the adapter and checks that it is low-rank terms only.</summary>
    /// <param name="directory">The folder of the adapter.</param>
    /// <param name="device">The device to compute the terms on.</param>
    /// <param name="model">The base model; null if the adapter's terms do not depend on it.</param>
    /// <exception cref="InputException">
    /// The adapter is malformed, has no equivalent plain LoRA, or needs the base model.
    /// </exception>
    public PlainLoraConversion(string directory, Device device, ModelFolder? model)
    {
        (_directory, _device, _model) = (directory, device, model);
        _adapter = model is null ? new AdapterReader(directory) : new AdapterReader(directory, model);
        try
        {
            _lora = new EquivalentLora(_adapter, directory, model);
            foreach (AdaptedModule module in _adapter.Modules)
                _lora.Check(module, allowsBias: true);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The adapted layers, in the order of the adapter.</summary>
    public IReadOnlyList<AdaptedModule> Modules => _adapter.Modules;

    /// <summary>The tensors that train whole or by rows beside the factors.</summary>
    public IReadOnlyList<SavedTensor> Saved => _adapter.Saved;

    /// <summary>The warnings about the adapter's files, one line each.</summary>
    public IReadOnlyList<string> Warnings => _adapter.Warnings;

    /// <summary>Computes L [out, rank] and R [rank, in] of one layer, of the rank of its form.</summary>
    /// <exception cref="InputException">A value is not finite.</exception>
    public (float[] Left, float[] Right) Factors(AdaptedModule module)
    {
        (float[] left, float[] right) = _lora.Factors(module, module.Form.Rank, _device);
        RequireFinite(left, [module.Shape.Out, module.Form.Rank]);
        RequireFinite(right, [module.Form.Rank, module.Shape.In]);
        return (left, right);

        void RequireFinite(float[] values, long[] shape)
        {
            if (FiniteValues.FirstNonFinite(values) is >= 0 and var at)
            {
                throw new InputException(
                    $"{_directory}: a factor of {module.Shape.Name} has "
                        + $"{FiniteValues.Describe(values[at], at, shape)}, expected finite numbers"
                );
            }
        }
    }

    /// <summary>Returns the layer's own factors for a rank of at least that of its form.</summary>
    public LoraFactors Same(AdaptedModule module, int rank) =>
        new(
            module,
            rank,
            size => Evaluate(module, form => EquivalentLora.Left(form, size, module.Shape.Out)),
            size => Evaluate(module, form => EquivalentLora.Right(form, size, module.Shape.In))
        );

    /// <summary>
    /// Writes the LoRA with alpha = r. Layers of a rank below the largest are listed in rank_pattern and alpha_pattern.
    /// </summary>
    /// <remarks>
    /// An embedding with a head that follows it gets the largest rank, padded with zeros: PEFT looks for the rank of
    /// the head's copy under the head's own name.
    /// </remarks>
    /// <param name="directory">An existing folder for the result.</param>
    /// <param name="type">The type to store: F32, F16 or BF16.</param>
    /// <param name="layers">The factors of all layers, which are computed as they are written.</param>
    /// <returns>The number of tensors written.</returns>
    /// <exception cref="InputException">A value is not finite, or too large for the type.</exception>
    public int Write(string directory, StoredType type, IReadOnlyList<LoraFactors> layers)
    {
        PlainLora lora = Compose(type, layers);
        TensorToWrite[] tensors =
        [
            .. lora.Factors.Select(factor => TensorToWrite.Floats(factor.Name, type, factor.Shape, factor.Read)),
            .. lora.Copies,
            .. lora.Others,
        ];
        AdapterFolder.Write(directory, lora.Config, tensors);
        return tensors.Length;
    }

    /// <summary>Lists what <see cref="Write"/> writes. Values are computed when they are read or written.</summary>
    /// <param name="type">The type to store copies and tensors beside the factors in.</param>
    /// <param name="layers">The factors of all layers.</param>
    public PlainLora Compose(StoredType type, IReadOnlyList<LoraFactors> layers)
    {
        int largest = layers.Max(layer => layer.Rank);
        bool keepsTied = _adapter.Options.KeepTied && _model?.Config.TieWordEmbeddings != false;
        List<LoraTensor> factors = [];
        List<TensorToWrite> copies = [];
        List<TensorToWrite> others = [];
        foreach (LoraFactors layer in layers)
        {
            factors.AddRange(Layer(layer, keepsTied && layer.Module.Shape.IsEmbedding ? largest : layer.Rank));
            if (layer.Module is { TrainsBias: true, Shape: var adapted })
            {
                string name = AdapterFolder.KeyOf(adapted.Name, AdapterTensors.WrappedBias);
                Func<float[]> read = () => Evaluate(layer.Module, form => form.Bias!.Value.ToArray());
                others.Add(TensorToWrite.Floats(name, type, [adapted.Out], read));
            }
        }

        foreach (LoraFactors layer in layers.Where(layer => keepsTied && layer.Module.Shape.IsEmbedding))
        {
            ModuleShape shape = layer.Module.Shape;
            ModuleShape head = shape with { Name = ModelFamilies.HeadOf(shape.Name) };
            copies.AddRange(
                TiedHead.Copies(head, largest, type, () => layer.Right(largest), () => layer.Left(largest))
            );
        }

        foreach (SavedTensor saved in _adapter.Saved)
        {
            string name = saved.KeyOf(isAdapted: Modules.Any(module => module.Shape.Name == saved.Module));
            others.Add(TensorToWrite.Floats(name, type, saved.Shape.Dimensions(), _adapter.Stored(saved).ToFloats));
            if (keepsTied && _model is not null && saved is { IsEmbedding: true, Tokens: null, Trains: true })
                copies.Add(TiedHead.Copy(saved, type, _adapter.Stored(saved).ToFloats));
        }

        LoraFactors[] smaller =
        [
            .. layers.Where(layer => layer.Rank < largest && !(keepsTied && layer.Module.Shape.IsEmbedding)),
        ];
        return new PlainLora(Config(largest, smaller), factors, copies, others);
    }

    /// <inheritdoc/>
    public void Dispose() => _adapter.Dispose();

    private static IEnumerable<LoraTensor> Layer(LoraFactors layer, int rank)
    {
        (string name, int outputs, int inputs) = (
            layer.Module.Shape.Name,
            layer.Module.Shape.Out,
            layer.Module.Shape.In
        );
        CheckSize(name, (long)Math.Max(inputs, outputs) * rank);
        if (layer.Module.Shape.IsEmbedding)
        {
            yield return Tensor(
                LoraNames.EmbeddingA,
                [rank, outputs],
                () => HostMatrix.Transposed(layer.Left(rank), outputs, rank)
            );
            yield return Tensor(
                LoraNames.EmbeddingB,
                [inputs, rank],
                () => HostMatrix.Transposed(layer.Right(rank), rank, inputs)
            );
            yield break;
        }

        yield return Tensor(LoraNames.A, [rank, inputs], () => layer.Right(rank));
        yield return Tensor(LoraNames.B, [outputs, rank], () => layer.Left(rank));

        LoraTensor Tensor(string leaf, long[] shape, Func<float[]> read) =>
            new(AdapterFolder.KeyOf(name, leaf), shape, read);
    }

    private AdapterConfig Config(int rank, IReadOnlyList<LoraFactors> smaller)
    {
        using var folder = AdapterFolder.Open(_directory);
        return folder.Config with
        {
            Method = AdapterMethods.Find("lora"),
            Options = new AdapterOptions
            {
                Rank = rank,
                Alpha = rank,
                RankPattern = [.. smaller.Select(layer => KeyValuePair.Create(KeyOf(layer), layer.Rank))],
                AlphaPattern = [.. smaller.Select(layer => KeyValuePair.Create(KeyOf(layer), (double)layer.Rank))],
                Dropout = _adapter.Options.Dropout,
                Bias = _adapter.Options.Bias,
                ModulesToSave = _adapter.Options.ModulesToSave,
                TrainableTokens = _adapter.Options.TrainableTokens,
                KeepTied = _adapter.Options.KeepTied,
            },
            // The converted factors are those of single layers.
            TargetModules =
                folder.Config.Options.TargetParameters.Count > 0
                    ? ModulePattern.Of(_adapter.Modules.Select(module => module.Shape.Name))
                    : folder.Config.TargetModules,
            KeepsGatesApart = false,
            LacksStart = false,
            IncludesStart = false,
            SoftPrompt = null,
            BaseTensorSha256 = new Dictionary<string, string>(),
        };
    }

    private float[] Evaluate(AdaptedModule module, Func<AdapterForm, float[]> read) =>
        _lora.Evaluate(module, _device, read);

    private static string KeyOf(LoraFactors layer) => Regex.Escape(layer.Module.Shape.Name);

    private static void CheckSize(string module, long elements)
    {
        if (elements > Array.MaxLength)
        {
            throw new InputException(
                $"{InputText.Quote(module)} would have a factor of {elements} elements, expected at most "
                    + $"{Array.MaxLength}"
            );
        }
    }
}
