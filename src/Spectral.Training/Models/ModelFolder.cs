using System.Security.Cryptography;
using System.Text.Json;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;
using Spectral.Training.Quantization;

namespace Spectral.Training.Models;

/// <summary>
/// A Hugging Face model folder: <c>config.json</c> and weights in <c>model.safetensors</c> or in shards named by
/// <c>model.safetensors.index.json</c>. Opening checks, before any value is read, that every tensor of the config
/// exists with its shape and a float type. The weights stay mapped until disposal.
/// </summary>
/// <example>
/// <code>
/// using var folder = ModelFolder.Open(modelPath); // checks config and weights
/// Console.WriteLine($"{folder.Config.HiddenSize} features, {folder.Config.Layers} layers");
/// using var model = CausalLanguageModel.Load(folder, device, DType.BF16);
/// </code>
/// </example>
public sealed class ModelFolder : IDisposable
{
    internal const string SingleFile = "model.safetensors";
    internal const string IndexFile = "model.safetensors.index.json";
    internal const string PlainForm = "plain";
    private const long MaximumIndexBytes = 64 << 20;
    private const int MaximumShards = 4096;

    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, SafetensorsTensor> _tensors = new(StringComparer.Ordinal);
    private readonly HashSet<string> _wanted;
    private readonly Dictionary<string, FusedTensor> _fused;
    private readonly IReadOnlySet<string> _transposed;
    private readonly QuantizedTensors? _quantized;
    private readonly IReadOnlySet<string> _quantizable;
    private readonly List<string> _warnings = [];
    private int _added;
    private long _addedBytes;

    private ModelFolder(string directory)
    {
        Directory = directory;
        Config = ModelConfig.Load(directory);
        _warnings.AddRange(Config.Warnings);
        _wanted = [.. ModelTensors.For(Config).Select(tensor => tensor.Name), Config.HeadWeight];
        _fused = Config.Family.Fused(Config).ToDictionary(fused => fused.Name, StringComparer.Ordinal);
        _wanted.UnionWith(_fused.Keys);
        _transposed = ModelTensors.Transposed(Config);
        _quantized = Config.Quantization is { } settings ? new QuantizedTensors(settings, directory) : null;
        _quantizable = ModelTensors.Quantizable(Config);
        ModelCompanions.Check(directory);
    }

    /// <summary>The path of the folder.</summary>
    public string Directory { get; }

    /// <summary>
    /// The config of the model, already checked. If the weights have a head that differs from the embedding, it says
    /// that the head is not tied, whatever its file says.
    /// </summary>
    public ModelConfig Config { get; private set; }

    /// <summary>
    /// The form in which a frozen model of this folder keeps its linear layers; null: as they are stored.
    /// </summary>
    public BaseQuantization? Quantization { get; private init; }

    /// <summary>
    /// The form of the linear layers of a frozen model: that in which it is kept, or else that in which it is stored.
    /// </summary>
    internal string WeightForm
    {
        get
        {
            if (Quantization is not null)
                return Quantization.Name;
            StoredWeight? stored = _tensors
                .OrderBy(tensor => tensor.Key, StringComparer.Ordinal)
                .Select(tensor => tensor.Value.Computed)
                .OfType<StoredWeight>()
                .FirstOrDefault();
            return stored is null
                ? PlainForm
                : new BaseQuantization(stored.Layout.Format, stored.Scales is NestedScales).Name;
        }
    }

    /// <summary>
    /// Whether config.json ties the head to the embedding but the weights have a different head, which is then used.
    /// </summary>
    internal bool IsUntied { get; private set; }

    /// <summary>Whether there are weights. This is false only if the folder was opened with weights optional.</summary>
    public bool HasWeights => _files.Count > 0;

    /// <summary>
    /// The warnings about things that are unusual but harmless, one line each: tensors that no part of the model uses,
    /// a wrong total size.
    /// </summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>The names of all tensors found, without prefixes of wrappers.</summary>
    public IEnumerable<string> TensorNames => _tensors.Keys;

    /// <summary>The stored tensor of a name.</summary>
    /// <exception cref="InputException">The folder has no such tensor.</exception>
    public SafetensorsTensor this[string name] =>
        _tensors.TryGetValue(name, out SafetensorsTensor? tensor)
            ? tensor
            : throw new InputException($"{Directory}: no tensor {InputText.Quote(name)} in the weights");

    /// <summary>
    /// Returns the tensor that the model uses under a name. For a head tied to the embedding this is the embedding.
    /// </summary>
    /// <exception cref="InputException">The folder has no such tensor.</exception>
    internal SafetensorsTensor Untied(string name) => this[Source(name)];

    /// <summary>
    /// Returns the quantised weight whose values the tensor of a name has; null: its values are stored themselves.
    /// </summary>
    /// <exception cref="InputException">The folder has no such tensor.</exception>
    internal StoredWeight? Quantized(string name) => Untied(name).Computed as StoredWeight;

    /// <summary>Returns whether there is a tensor for <see cref="Untied"/>.</summary>
    internal bool HasUntied(string name) => _tensors.ContainsKey(Source(name));

    /// <summary>Opens a model folder and checks its files.</summary>
    /// <param name="directory">The model's folder.</param>
    /// <param name="weightsOptional">Whether a folder without weights is accepted, as for pretraining.</param>
    /// <param name="quantization">
    /// The form in which a frozen model keeps its linear layers; null: as they are stored.
    /// </param>
    /// <exception cref="InputException">
    /// A file in the folder is missing or malformed, or files contradict each other.
    /// </exception>
    public static ModelFolder Open(
        string directory,
        bool weightsOptional = false,
        BaseQuantization? quantization = null
    )
    {
        ModelFolder folder = new(directory) { Quantization = quantization };
        try
        {
            folder.OpenWeights(weightsOptional);
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Computes the SHA-256 of a tensor's bytes as stored, in lower-case hexadecimal. Adapters identify the tensors of
    /// their base with it. Of a quantised weight it covers codes and scales.
    /// </summary>
    public string Sha256(string name)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Untied(name).AppendTo(hash);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>
    /// Reads a tensor in the form in which a frozen model keeps it; null: it is kept as it is. The caller disposes it.
    /// </summary>
    /// <exception cref="InputException">A value is not finite.</exception>
    internal QuantizedMatrix? ReadQuantized(SafetensorsTensor stored, Device device)
    {
        if (stored.Computed is StoredWeight quantized)
            return quantized.ToDevice(device);
        return IsRounded(stored) ? Quantization!.Read(stored, device) : null;
    }

    /// <summary>Returns how a frozen model keeps a quantised tensor; null: it is kept as it is.</summary>
    /// <exception cref="InputException">The folder has no such tensor.</exception>
    internal QuantizedForm? FormOf(string name) =>
        Quantized(name)?.Form ?? (IsRounded(Untied(name)) ? Quantization!.Form : null);

    /// <summary>Returns whether a frozen model keeps a tensor in another form than the files do.</summary>
    internal bool IsRounded(SafetensorsTensor stored) =>
        Quantization is not null && _quantizable.Contains(WrappedNames.Resolve(stored.Name, _wanted));

    /// <summary>
    /// Reads the values of a tensor of this folder, rounded as in a model that keeps it in the form of
    /// <see cref="Quantization"/>.
    /// </summary>
    /// <param name="stored">The tensor.</param>
    /// <param name="device">The device that rounds.</param>
    /// <exception cref="InputException">A value is not finite.</exception>
    public float[] ReadRounded(SafetensorsTensor stored, Device device) =>
        IsRounded(stored) ? Quantization!.Round(stored, device) : stored.ToFloats();

    /// <summary>The number of weights that a frozen model keeps in a few bits each.</summary>
    public long QuantizedWeights =>
        ModelTensors
            .For(Config)
            .Where(tensor => Quantization is null ? IsStoredQuantized(tensor.Name) : _quantizable.Contains(tensor.Name))
            .Sum(tensor => tensor.Count);

    /// <summary>Closes the files of the weights, which unmaps them.</summary>
    public void Dispose()
    {
        foreach (SafetensorsFile file in _files)
            file.Dispose();
    }

    private bool IsStoredQuantized(string name) => _tensors.GetValueOrDefault(name)?.Computed is StoredWeight;

    private string Source(string name) =>
        name == Config.HeadWeight && Config.TieWordEmbeddings ? Config.Family.EmbeddingWeight : name;

    private void OpenWeights(bool optional)
    {
        string single = FolderFile.At(Directory, SingleFile);
        string index = FolderFile.At(Directory, IndexFile);
        if (File.Exists(single))
        {
            OpenSingle(single);
        }
        else if (File.Exists(index))
        {
            OpenShards(index);
        }
        else if (optional)
        {
            return;
        }
        else
        {
            throw new InputException(
                File.Exists(Path.Combine(Directory, "pytorch_model.bin"))
                || File.Exists(Path.Combine(Directory, "pytorch_model.bin.index.json"))
                    ? $"{Directory}: only pickled weights (pytorch_model.bin), which are never opened; "
                        + $"convert them to {SingleFile}"
                    : $"{Directory}: no weights, expected {SingleFile} or {IndexFile}"
            );
        }

        AssembleQuantized();
        CheckTensors();
        if (
            Quantization is not null
            && _tensors.Values.Select(tensor => tensor.Computed).OfType<StoredWeight>().FirstOrDefault() is { } stored
        )
        {
            throw new InputException(
                $"{Directory}: the weights are stored as {stored.Layout.Format.Name()}, expected no --quantize "
                    + $"{Quantization.Format.Name()}"
            );
        }
    }

    private void AssembleQuantized()
    {
        if (_quantized is null)
            return;
        var shapes = ModelTensors.Untied(Config).ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        if (_quantized.Assemble(_tensors, shapes) > 0)
            return;
        _warnings.Add(
            $"{Directory}: config.json has a {Config.Quantization!.Key}, but no weight is quantised; weights are read "
                + "as they are"
        );
    }

    private void OpenSingle(string path)
    {
        var file = SafetensorsFile.Open(path);
        _files.Add(file);
        foreach (SafetensorsTensor tensor in file.Tensors.Values)
            Add(tensor);
    }

    private void Add(SafetensorsTensor tensor)
    {
        _added++;
        _addedBytes += tensor.Bytes;
        if (_quantized?.TryAdd(tensor, _wanted) ?? false)
            return;
        string name = WrappedNames.Resolve(tensor.Name, _wanted);
        if (_fused.TryGetValue(name, out FusedTensor? fused))
        {
            AddParts(tensor, fused);
            return;
        }
        if (!_tensors.TryAdd(name, _transposed.Contains(name) ? tensor.Transposed() : tensor))
        {
            throw new InputException(
                $"{Directory}: the tensors {InputText.Quote(_tensors[name].Name)} and "
                    + $"{InputText.Quote(tensor.Name)} are both {name}, expected one of them"
            );
        }
    }

    private void AddParts(SafetensorsTensor tensor, FusedTensor fused)
    {
        if (!tensor.Type.IsFloat() || !tensor.Shape.SequenceEqual(fused.Shape))
        {
            throw new InputException(
                $"{tensor.Path}: tensor {fused.Name} is {tensor.Type.HeaderName()} "
                    + $"{InputText.Shape([.. tensor.Shape])}, expected F32, F16, BF16 or F64 "
                    + $"{InputText.Shape([.. fused.Shape])} from config.json"
            );
        }
        long start = 0;
        foreach (TensorSpec part in fused.Parts)
        {
            if (!_tensors.TryAdd(part.Name, tensor.Part(part.Name, start, part.Shape)))
            {
                throw new InputException(
                    $"{Directory}: the tensor {InputText.Quote(tensor.Name)} holds {part.Name}, which there is by "
                        + "itself too, expected one of them"
                );
            }
            start += part.Count;
        }
    }

    private void OpenShards(string index)
    {
        using JsonDocument document = StrictJson.ParseFile(index, MaximumIndexBytes);
        JsonFields root = new(document.RootElement, index);
        JsonFields map =
            root.Object("weight_map") ?? throw root.Wrong("weight_map", "an object that maps tensor names to files");
        Dictionary<string, SafetensorsFile> shards = new(StringComparer.Ordinal);
        foreach (JsonProperty entry in map.Element.EnumerateObject())
        {
            string? fileName = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString() : null;
            if (fileName is null || !FolderFile.IsPlainName(fileName))
            {
                throw new InputException(
                    $"{index}: weight_map gives tensor {InputText.Quote(entry.Name)} the file "
                        + $"{InputText.Quote(fileName ?? entry.Value.ValueKind.ToString())}, expected a "
                        + "plain file name in the same folder"
                );
            }

            if (!shards.TryGetValue(fileName, out SafetensorsFile? file))
            {
                if (shards.Count == MaximumShards)
                    throw new InputException($"{index}: weight_map names more than {MaximumShards} files");
                file = SafetensorsFile.Open(FolderFile.At(Directory, fileName));
                _files.Add(file);
                shards.Add(fileName, file);
            }
            Add(file[entry.Name]);
        }
        int unmapped = _files.Sum(file => file.Tensors.Count) - _added;
        if (unmapped > 0)
            _warnings.Add($"{index}: {unmapped} tensors of the files are not in weight_map and are ignored");
        if (
            root.Object("metadata")?.Find("total_size") is { } size
            && !(
                size.ValueKind == JsonValueKind.Number
                && size.TryGetDouble(out double claimed)
                && claimed == _addedBytes
            )
        )
        {
            _warnings.Add(
                $"{index}: metadata.total_size is {InputText.Quote(size.GetRawText())}, the mapped "
                    + $"tensors have {_addedBytes} bytes"
            );
        }
    }

    private void CheckTensors()
    {
        if (Config.TieWordEmbeddings && HasHeadOfItsOwn())
        {
            (Config, IsUntied) = (Config with { TieWordEmbeddings = false }, true);
            _warnings.Add(
                $"{Directory}: config.json ties the head to the embedding, but {Config.HeadWeight} differs from "
                    + $"{Config.Family.EmbeddingWeight}; the head that is there is used, as transformers 5 does "
                    + "(transformers 4 takes the embedding)"
            );
        }
        AddFreshHead();
        HashSet<string> known = new(StringComparer.Ordinal);
        foreach (TensorSpec wanted in ModelTensors.For(Config))
        {
            known.Add(wanted.Name);
            if (!_tensors.TryGetValue(wanted.Name, out SafetensorsTensor? tensor))
            {
                throw new InputException(
                    $"{Directory}: tensor {wanted.Name} is missing in the weights, expected "
                        + $"{InputText.Shape([.. StoredShape(wanted)])}"
                );
            }

            if (!tensor.Shape.SequenceEqual(wanted.Shape))
            {
                throw new InputException(
                    $"{tensor.Path}: tensor {wanted.Name} is {InputText.Shape([.. tensor.StoredShape])}, "
                        + $"expected {InputText.Shape([.. StoredShape(wanted)])} from config.json"
                );
            }

            if (!tensor.Type.IsFloat())
            {
                throw new InputException(
                    $"{tensor.Path}: tensor {wanted.Name} is {tensor.Type.HeaderName()}, expected F32, F16, BF16 or F64"
                );
            }
        }
        string[] unused =
        [
            .. _tensors
                .Keys.Where(name => !known.Contains(name) && !IsExpectedExtra(name))
                .Order(StringComparer.Ordinal),
        ];
        if (unused.Length > 0)
        {
            _warnings.Add(
                $"{Directory}: {unused.Length} tensors are not part of the model and are ignored, such as "
                    + $"{InputText.Quote(unused[0])}"
            );
        }
    }

    // A model that was pretrained without a head for classes gets a fresh one. A layer before the output layer may be
    // there already, as in most files of BERT.
    private void AddFreshHead()
    {
        if (Config.Classifier is null)
            return;
        if (!_tensors.TryGetValue(Config.Family.EmbeddingWeight, out SafetensorsTensor? embedding))
            return;
        LinearSpec[] layers = [.. Config.Pooler is { } pooler ? [pooler] : Array.Empty<LinearSpec>(), Config.Head];
        string[] names =
        [
            .. layers.SelectMany(layer => layer.HasBias ? [layer.Weight, layer.Bias] : new[] { layer.Weight }),
        ];
        TensorSpec[] missing =
        [
            .. ModelTensors
                .For(Config)
                .Where(tensor => names.Contains(tensor.Name) && !_tensors.ContainsKey(tensor.Name)),
        ];
        foreach (TensorSpec tensor in missing)
        {
            FreshWeights fresh = new(tensor, Config.InitializerRange, embedding);
            _tensors.Add(tensor.Name, new SafetensorsTensor(fresh));
        }

        if (missing.Length > 0)
        {
            _warnings.Add(
                $"{Directory}: the weights have no {string.Join(", ", missing.Select(tensor => tensor.Name))}; the "
                    + "head starts afresh and has to be trained"
            );
        }
    }

    // Most redundant heads have the same bytes as the embedding. Only a head of another type has to be converted for
    // the comparison.
    private bool HasHeadOfItsOwn()
    {
        if (
            !_tensors.TryGetValue(Config.HeadWeight, out SafetensorsTensor? head)
            || !_tensors.TryGetValue(Config.Family.EmbeddingWeight, out SafetensorsTensor? embedding)
        )
        {
            return false;
        }

        if (!head.Shape.SequenceEqual(embedding.Shape))
            return true;
        if (head.Type == embedding.Type && head.Computed is null && embedding.Computed is null)
            return !HaveSameBytes(head, embedding);
        return head.Type.IsFloat()
            && embedding.Type.IsFloat()
            && !head.ToFloats().AsSpan().SequenceEqual(embedding.ToFloats());
    }

    private static bool HaveSameBytes(SafetensorsTensor left, SafetensorsTensor right)
    {
        const int Piece = 1 << 24;
        for (long done = 0; done < left.Bytes; done += Piece)
        {
            int length = (int)Math.Min(Piece, left.Bytes - done);
            if (!left.Slice(done, length).SequenceEqual(right.Slice(done, length)))
                return false;
        }
        return true;
    }

    private static IEnumerable<long> StoredShape(TensorSpec tensor) =>
        tensor.IsTransposed ? tensor.Shape.Reverse() : tensor.Shape;

    // Checkpoints with a tied head may repeat it.
    private bool IsExpectedExtra(string name) =>
        Config.Family.IsBuffer(name) || (Config.TieWordEmbeddings && name == Config.HeadWeight);
}
