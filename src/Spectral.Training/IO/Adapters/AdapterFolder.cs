using System.Text.RegularExpressions;

namespace Spectral.Training;

/// <summary>
/// An adapter folder in PEFT's layout: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c> with keys
/// <c>base_model.model.&lt;module path&gt;.&lt;leaf&gt;</c>. Reads what PEFT and this library write; PEFT loads a LORA folder from here.
/// </summary>
public sealed partial class AdapterFolder : IDisposable
{
    /// <summary>Leaf of the low-rank part's right factor, [r, in].</summary>
    public const string LoraA = "lora_A.weight";

    /// <summary>Leaf of the low-rank part's left factor, [out, r].</summary>
    public const string LoraB = "lora_B.weight";

    /// <summary>Leaf of the left singular vectors, [out, k].</summary>
    public const string SpectralU = "spec_U";

    /// <summary>Leaf of the singular values, [k].</summary>
    public const string SpectralS = "spec_S";

    /// <summary>Leaf of the right singular vectors, [k, in].</summary>
    public const string SpectralV = "spec_V";

    /// <summary>Leaf of the trained relative change of the singular values, [k].</summary>
    public const string SpectralDelta = "spec_delta";

    private const string Prefix = "base_model.model.";
    private const string WeightsFile = "adapter_model.safetensors";

    private readonly SafetensorsFile file;
    private readonly List<string> warnings = [];

    private AdapterFolder(string directory)
    {
        Directory = directory;
        Config = AdapterConfigFile.Load(directory, warnings);
        string path = Path.Combine(directory, WeightsFile);
        if (!File.Exists(path))
            throw new InputException(File.Exists(Path.Combine(directory, "adapter_model.bin"))
                ? $"{directory}: only pickled weights (adapter_model.bin), which are never opened; save the adapter as {WeightsFile}"
                : $"{directory}: no adapter weights, expected {WeightsFile}");
        file = SafetensorsFile.Open(path);
        try
        {
            Modules = ReadModules();
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The folder's path.</summary>
    public string Directory { get; }

    /// <summary>The checked config.</summary>
    public AdapterConfig Config { get; }

    /// <summary>The adapted modules by module path, in ordinal order.</summary>
    public IReadOnlyDictionary<string, AdapterModule> Modules { get; }

    /// <summary>What was odd but harmless, one line each.</summary>
    public IReadOnlyList<string> Warnings => warnings;

    /// <summary>Opens and checks an adapter folder; the weights stay mapped until it is disposed of.</summary>
    /// <exception cref="InputException">Anything in the folder is missing, malformed or not supported.</exception>
    public static AdapterFolder Open(string directory) => new(directory);

    /// <summary>
    /// Writes an adapter folder; tensor names are made by <see cref="KeyOf"/>. The config is written last: it marks a complete folder.
    /// </summary>
    public static void Write(string directory, AdapterConfig config, IReadOnlyList<TensorToWrite> tensors)
    {
        System.IO.Directory.CreateDirectory(directory);
        SafetensorsWriter.Write(Path.Combine(directory, WeightsFile), tensors, new Dictionary<string, string> { ["format"] = "pt" });
        AdapterConfigFile.Save(config, directory);
    }

    /// <summary>The name under which a module's tensor is stored.</summary>
    public static string KeyOf(string module, string leaf) => $"{Prefix}{module}.{leaf}";

    /// <summary>Checks that the adapter fits the linear layers of a model: same modules, same shapes, none missing.</summary>
    /// <exception cref="InputException">It was made for another model.</exception>
    public void CheckFits(IEnumerable<LinearSpec> linears)
    {
        HashSet<string> left = [.. Modules.Keys];
        foreach (LinearSpec linear in linears)
        {
            if (!Modules.TryGetValue(linear.Name, out AdapterModule? module))
            {
                if (Config.Matches(linear.Name))
                    throw new InputException($"{file.Path}: no tensors for {linear.Name}, which target_modules of the adapter's "
                        + "config matches in the model");
                continue;
            }
            left.Remove(linear.Name);
            if (module.Outputs != linear.Outputs || module.Inputs != linear.Inputs)
                throw new InputException($"{file.Path}: the adapter of {linear.Name} is for a weight [{module.Outputs}, {module.Inputs}], "
                    + $"the model has [{linear.Outputs}, {linear.Inputs}]; is it the adapter of another model?");
        }
        if (left.Count > 0)
            throw new InputException($"{file.Path}: adapts {InputText.Quote(left.Min(StringComparer.Ordinal)!)}, which is no linear "
                + "layer of the model; is it the adapter of another model?");
    }

    /// <summary>
    /// Checks modules and shapes, and that the base weights are bit for bit those the adapter was made for, as far as it names them.
    /// </summary>
    /// <exception cref="InputException">It was made for another model.</exception>
    public void CheckFits(ModelFolder model)
    {
        CheckFits(ModelTensors.Linears(model.Config));
        foreach ((string tensor, string sha256) in Config.BaseTensorSha256)
        {
            if (!model.HasWeights || !model.TensorNames.Contains(tensor)
                || !string.Equals(model.Sha256(tensor), sha256, StringComparison.OrdinalIgnoreCase))
                throw new InputException($"{Directory}: made for a model whose tensor {InputText.Quote(tensor)} has the SHA-256 {sha256}, "
                    + $"which {model.Directory} has not; is it the adapter of another model?");
        }
    }

    /// <summary>Unmaps the weights.</summary>
    public void Dispose() => file.Dispose();

    // PEFT's keys, with or without its prefix and with or without the name of the adapter in them.
    [GeneratedRegex(
        @"\A(?:base_model\.model\.)?(?<module>.+?)\.(?:(?<leaf>lora_[AB])(?:\.[^.]+)?\.weight|(?<leaf>spec_(?:U|S|V|delta))(?:\.[^.]+)?)\z")]
    private static partial Regex Key();

    private SortedDictionary<string, AdapterModule> ReadModules()
    {
        Dictionary<string, Dictionary<string, SafetensorsTensor>> found = new(StringComparer.Ordinal);
        foreach (SafetensorsTensor tensor in file.Tensors.Values)
        {
            Match match = Key().Match(tensor.Name);
            if (!match.Success)
                throw new InputException($"{file.Path}: tensor {InputText.Quote(tensor.Name)} is not part of a {Config.PeftType} adapter "
                    + "(saved modules, biases, embeddings and DoRA magnitudes are not supported)");
            if (!tensor.Type.IsFloat())
                throw new InputException($"{file.Path}: tensor {InputText.Quote(tensor.Name)} is {tensor.Type.HeaderName()}, expected "
                    + "F32, F16 or BF16");
            string module = match.Groups["module"].Value;
            if (!found.TryGetValue(module, out Dictionary<string, SafetensorsTensor>? tensors))
                found.Add(module, tensors = new Dictionary<string, SafetensorsTensor>(StringComparer.Ordinal));
            if (!tensors.TryAdd(match.Groups["leaf"].Value, tensor))
                throw new InputException($"{file.Path}: {InputText.Quote(module)} has two tensors {match.Groups["leaf"].Value}, "
                    + "expected one");
        }
        SortedDictionary<string, AdapterModule> modules = new(StringComparer.Ordinal);
        foreach ((string name, Dictionary<string, SafetensorsTensor> tensors) in found)
        {
            AdapterModule module = new(name, Config.ScaleOf(name), tensors.GetValueOrDefault("lora_A"), tensors.GetValueOrDefault("lora_B"),
                tensors.GetValueOrDefault(SpectralU), tensors.GetValueOrDefault(SpectralS), tensors.GetValueOrDefault(SpectralV),
                    tensors.GetValueOrDefault(SpectralDelta));
            CheckModule(module);
            if (Config.Matches(name))
                modules.Add(name, module);
            else
                warnings.Add($"{file.Path}: the tensors of {InputText.Quote(name)} are ignored, as target_modules does not match it");
        }
        return modules.Count > 0 ? modules : throw new InputException($"{file.Path}: no adapted modules, expected tensors like "
            + $"{KeyOf("<module>", LoraA)}");
    }

    private void CheckModule(AdapterModule module)
    {
        bool spectral = Config.PeftType == AdapterConfig.SpecLora;
        SafetensorsTensor?[] lowRank = [module.LoraA, module.LoraB];
        SafetensorsTensor?[] spectrum = [module.SpectralU, module.SpectralS, module.SpectralV, module.SpectralDelta];
        if (Array.Exists(lowRank, tensor => tensor is null)
            && !(spectral && Config.RankOf(module.Name) == 0 && Array.TrueForAll(lowRank, tensor => tensor is null)))
            throw Lacks(module, $"{LoraA} and {LoraB}");
        if (spectral && Array.Exists(spectrum, tensor => tensor is null))
            throw Lacks(module, $"{SpectralU}, {SpectralS}, {SpectralV} and {SpectralDelta}");
        if (!spectral && Array.Exists(spectrum, tensor => tensor is not null))
            throw new InputException($"{file.Path}: {InputText.Quote(module.Name)} has spectral tensors, but peft_type is "
                + $"{Config.PeftType}, expected {AdapterConfig.SpecLora}");
        SafetensorsTensor?[] matrices = [module.LoraA, module.LoraB, module.SpectralU, module.SpectralV];
        foreach (SafetensorsTensor? matrix in matrices)
        {
            if (matrix is not null && (matrix.Shape.Count != 2 || matrix.Shape.Any(dimension => dimension is < 1 or > int.MaxValue)))
                throw Misshapen(matrix, "a matrix");
        }
        if (module.LoraA is { } a && module.LoraB is { } b)
        {
            if (a.Shape[0] != b.Shape[1])
                throw Misshapen(b, $"[out, {a.Shape[0]}], as {InputText.Quote(a.Name)} has {a.Shape[0]} rows");
            if (Config.RankOf(module.Name) != a.Shape[0])
                warnings.Add($"{file.Path}: {InputText.Quote(module.Name)} has rank {a.Shape[0]}, the config says "
                    + $"{Config.RankOf(module.Name)}; the scale follows the config");
        }
        if (spectral)
            CheckSpectrum(module);
    }

    private void CheckSpectrum(AdapterModule module)
    {
        long k = Config.TopK!.Value;
        CheckShape(module.SpectralS!, k);
        CheckShape(module.SpectralDelta!, k);
        CheckShape(module.SpectralU!, module.Outputs, k);
        CheckShape(module.SpectralV!, k, module.Inputs);
    }

    private void CheckShape(SafetensorsTensor tensor, params long[] wanted)
    {
        if (!tensor.Shape.SequenceEqual(wanted))
            throw Misshapen(tensor, InputText.Shape(wanted));
    }

    private InputException Lacks(AdapterModule module, string wanted)
        => new($"{file.Path}: {InputText.Quote(module.Name)} lacks a tensor, expected {wanted}");

    private InputException Misshapen(SafetensorsTensor tensor, string wanted)
        => new($"{file.Path}: tensor {InputText.Quote(tensor.Name)} is {InputText.Shape([.. tensor.Shape])}, expected {wanted}");
}
