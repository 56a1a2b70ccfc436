using System.Text.Json;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Packing;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// An adapter folder in PEFT's layout: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c> with keys
/// <c>base_model.model.&lt;module path&gt;.&lt;leaf&gt;</c>, and <c>base_model.&lt;name&gt;</c> for shared tensors. It
/// reads the folders of PEFT and of this library; PEFT reads the folders of methods that it has. Folders of mlx-lm are
/// read too (<see cref="MlxFolder"/>), and those whose tensors are packed (<see cref="PackedFolder"/>).
/// </summary>
public sealed class AdapterFolder : IDisposable
{
    private const string SharedPrefix = "base_model.";
    private const string Prefix = SharedPrefix + "model.";
    private const string WeightsFile = "adapter_model.safetensors";

    private readonly SafetensorsFile _file;
    private readonly List<string> _warnings = [];

    private AdapterFolder(string directory)
    {
        Directory = directory;
        using JsonDocument config = AdapterConfigFile.Parse(directory);
        string path = FolderFile.At(directory, WeightsFile);
        bool isPacked = !File.Exists(path) && PackedFolder.IsOne(directory);
        bool isMlx = !File.Exists(path) && !isPacked && MlxFolder.IsOne(directory);
        PackedFolder? packed = isPacked ? PackedFolder.Open(directory) : null;
        _file =
            packed?.File ?? SafetensorsFile.Open(isMlx ? MlxFolder.WeightsIn(directory) : Existing(path, directory));
        try
        {
            Tensors = isMlx
                ? MlxFolder.Tensors(_file)
                : (packed?.Plain ?? _file.Tensors.Values).Select(AdapterTensor.Of);
            if (isMlx)
            {
                Config = MlxFolder.Config(new JsonFields(config.RootElement, AdapterConfigFile.Path(directory)), _file);
                return;
            }
            Config = AdapterConfigFile.Load(config, directory, _file.Metadata, _warnings);
            if (Config.Prompt is not null)
                Tensors = [.. Tensors.Select(OfPrompt)];
            if (Config.SoftPrompt is { } prompt)
            {
                AdapterTensor[] tokens = [.. Tensors.Where(tensor => tensor.Name == PromptMethod.TensorName)];
                Tensors = [.. Tensors.Except(tokens)];
                SoftPrompt = new AdapterFolder(this, prompt, [.. tokens.Select(OfPrompt)]);
            }

            if (packed is not null)
            {
                Tensors = Tensors.Concat(packed.Packed.Select(tensor => AdapterTensor.Of(tensor, _file.Path)));
                Config = Config with { BaseTensorSha256 = packed.Description.BaseTensorSha256 };
            }

            if (
                Config.Method.StartTensor is { } leaf
                && !Tensors.Any(tensor => tensor.Name.EndsWith($".{leaf}", StringComparison.Ordinal))
            )
            {
                Config = Config with { LacksStart = true };
            }

            if (Config.Options.TargetParameters.Count > 0)
                Tensors = [.. ExpertStacks.TakeApart(Tensors, Config)];
            if (Config.Blocks is { } blocks)
                Tensors = [.. Tensors.Select(blocks.Expand)];
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    /// <summary>Opens the soft prompt beside the layers as the folder that PEFT would have of it.</summary>
    private AdapterFolder(AdapterFolder whole, AdapterConfig prompt, IReadOnlyList<AdapterTensor> tokens) =>
        (Directory, _file, Config, Tensors) = (whole.Directory, whole._file, prompt, tokens);

    /// <summary>The path of the folder.</summary>
    public string Directory { get; }

    /// <summary>The soft prompt beside the layers, in the same files; null: there is none.</summary>
    internal AdapterFolder? SoftPrompt { get; }

    /// <summary>The config of the adapter, already checked.</summary>
    public AdapterConfig Config { get; }

    /// <summary>The warnings about things in the config that are unusual but harmless, one line each.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>The path of the weights, for messages.</summary>
    internal string WeightsPath => _file.Path;

    /// <summary>All tensors of the weights file.</summary>
    internal IEnumerable<AdapterTensor> Tensors { get; }

    /// <summary>Opens an adapter folder and checks its config. The weights stay mapped until disposal.</summary>
    /// <exception cref="InputException">
    /// A file is missing or malformed, or the config requires something that is not supported.
    /// </exception>
    public static AdapterFolder Open(string directory) => new(directory);

    /// <summary>
    /// Writes an adapter folder. Tensor names come from <see cref="KeyOf"/> and <see cref="SharedKeyOf"/>. The config
    /// is written last and marks the folder as complete.
    /// </summary>
    /// <param name="directory">The folder, which is created if necessary.</param>
    /// <param name="config">The config to write.</param>
    /// <param name="tensors">The tensors of the weights file.</param>
    public static void Write(string directory, AdapterConfig config, IReadOnlyList<TensorToWrite> tensors)
    {
        System.IO.Directory.CreateDirectory(directory);
        SafetensorsWriter.Write(Path.Combine(directory, WeightsFile), tensors, AdapterConfigFile.Metadata(config));
        AdapterConfigFile.Save(config, directory);
    }

    /// <summary>Writes an adapter folder with packed tensors, in the order of <see cref="Write"/>.</summary>
    /// <param name="directory">The folder, which is created if necessary.</param>
    /// <param name="config">The config to write.</param>
    /// <param name="description">The origin of the tensors.</param>
    /// <param name="packed">The packed tensors.</param>
    /// <param name="plain">Tensors to store as they are.</param>
    internal static void WritePacked(
        string directory,
        AdapterConfig config,
        PackedDescription description,
        IReadOnlyList<PackedTensor> packed,
        IReadOnlyList<TensorToWrite> plain
    )
    {
        System.IO.Directory.CreateDirectory(directory);
        PackedFolder.Write(directory, description, packed, plain, AdapterConfigFile.Metadata(config));
        AdapterConfigFile.Save(config, directory);
    }

    /// <summary>Returns the name under which a module's tensor is stored.</summary>
    /// <param name="module">The path of the module.</param>
    /// <param name="leaf">The tensor's name within the module.</param>
    public static string KeyOf(string module, string leaf) =>
        (module, leaf) is (PromptMethod.Module, PromptMethod.TensorName) ? leaf : $"{Prefix}{module}.{leaf}";

    /// <summary>Returns the name under which a shared tensor is stored.</summary>
    public static string SharedKeyOf(string name) => SharedPrefix + name;

    /// <summary>
    /// Returns a stored name without PEFT's prefix, which may be missing or repeated, and without the names of other
    /// wrappers.
    /// </summary>
    /// <param name="key">The tensor's name in the file.</param>
    /// <param name="isModule">Whether the tensor belongs to a module; false if the prefix marks it as shared.</param>
    internal static string WithoutPrefix(string key, out bool isModule)
    {
        string name = WrappedNames.Unwrap(key);
        isModule = !name.StartsWith(SharedPrefix, StringComparison.Ordinal);
        return isModule ? name : name[SharedPrefix.Length..];
    }

    /// <summary>
    /// Checks that the base weights are, bit for bit, those the adapter was made for, if the config has their digests.
    /// </summary>
    /// <exception cref="InputException">The adapter was made for another model.</exception>
    public void CheckFits(ModelFolder model)
    {
        foreach ((string tensor, string sha256) in Config.BaseTensorSha256)
        {
            if (
                !model.HasUntied(tensor)
                || !string.Equals(model.Sha256(tensor), sha256, StringComparison.OrdinalIgnoreCase)
            )
            {
                throw new InputException(
                    $"{Directory}: made for a model whose tensor {InputText.Quote(tensor)} has the "
                        + $"SHA-256 {InputText.Quote(sha256)}, "
                        + $"which {model.Directory} does not have; is it the adapter of another model?"
                );
            }
        }
    }

    /// <summary>Puts the module before the name of a soft prompt's tensor, which PEFT stores alone.</summary>
    private static AdapterTensor OfPrompt(AdapterTensor tensor) =>
        tensor.Name == PromptMethod.TensorName ? tensor with { Key = $"{PromptMethod.Module}.{tensor.Name}" } : tensor;

    private static string Existing(string path, string directory)
    {
        if (File.Exists(path))
            return path;
        throw new InputException(
            File.Exists(Path.Combine(directory, "adapter_model.bin"))
                ? $"{directory}: only pickled weights (adapter_model.bin), which are never opened; save the adapter as "
                    + WeightsFile
                : $"{directory}: no adapter weights, expected {WeightsFile}"
        );
    }

    /// <summary>Closes the file of the weights, which unmaps them.</summary>
    public void Dispose() => _file.Dispose();
}
