using System.Text.RegularExpressions;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Files;

/// <summary>The tensors of an adapter folder, by module and leaf name as the method declares them.</summary>
internal sealed class AdapterTensors
{
    /// <summary>The leaf name of the bias of an adapted layer, which PEFT wraps.</summary>
    public const string WrappedBias = "base_layer.bias";

    /// <summary>The suffix of the names of biases.</summary>
    public const string Bias = ".bias";

    // The expressions below take time quadratic in the length of a name.
    private const int LongestName = 1024;

    private readonly string _path;
    private readonly SortedDictionary<string, Dictionary<string, AdapterTensor>> _modules = new(StringComparer.Ordinal);
    private readonly Dictionary<string, AdapterTensor> _shared = new(StringComparer.Ordinal);
    private readonly Dictionary<string, AdapterTensor> _repeated = new(StringComparer.Ordinal);

    /// <summary>
    /// Assigns the tensors to modules and leaves. Names may or may not have PEFT's prefix and the adapter's name in
    /// them.
    /// </summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="leaves">
    /// The names that the method declares. Some versions of PEFT repeat shared tensors in each module.
    /// </param>
    /// <param name="saved">Receives the tensors of modules that are saved whole.</param>
    /// <param name="layers">The names of the model's layers; null if they are unknown.</param>
    /// <exception cref="InputException">A tensor is none of these, is of the wrong type, or exists twice.</exception>
    public AdapterTensors(AdapterFolder folder, LeafNames leaves, SavedTensors saved, IReadOnlySet<string>? layers)
    {
        _path = folder.WeightsPath;
        AdapterMethod method = folder.Config.Method;
        const string Module = @"(?<module>.+?)\.";
        // If one leaf name ends with another, the longer one takes precedence.
        (string? Leaf, Regex Key)[] modular =
        [
            .. method.FormerLeaves.Select(former => (former.Value, Key(Module, former.Key))),
            .. leaves
                .Own.Concat(leaves.Shared)
                .Distinct()
                .OrderByDescending(leaf => leaf.Length)
                .Select(leaf => (leaf, Key(Module, leaf))),
        ];
        (string? Leaf, Regex Key)[] common = [.. leaves.Shared.Select(name => (name, Key("", name)))];
        foreach (AdapterTensor tensor in method.Unfold([.. folder.Tensors], folder.Config.Options))
        {
            string name = AdapterFolder.WithoutPrefix(tensor.Key, out bool isModule);
            if (name.Length > LongestName)
            {
                throw new InputException(
                    $"{_path}: tensor {InputText.Quote(tensor.Name)} has a name of {name.Length} "
                        + $"characters, expected at most {LongestName}"
                );
            }

            bool isFactor = isModule && Find(modular, name) is not null;
            bool holdsPlaces = isFactor && leaves.Places.Contains(Find(modular, name)!.Value.Leaf!);
            if (!tensor.Type.IsFloat() && !holdsPlaces)
            {
                throw new InputException(
                    $"{_path}: tensor {InputText.Quote(tensor.Name)} is {tensor.Type.HeaderName()}, "
                        + "expected F32, F16 or BF16"
                );
            }

            if (folder.Config.IgnoredTensors.Any(part => $"{name}.".Contains($".{part}.", StringComparison.Ordinal)))
                continue;
            if (saved.Take(tensor, name, isFactor))
                continue;
            if (leaves.Own.Contains(WrappedBias) && Find(modular, name) is null)
                name = OfWrapped(name, folder.Config);
            if (Find(common, name) is { Leaf: { } whole })
            {
                Add(_shared, whole, tensor, "the file");
            }
            else if (isModule && Find(modular, name) is { } found)
            {
                string module = layers is null ? found.Module : WrappedNames.Resolve(found.Module, layers);
                if (layers?.Contains(module) == false && layers.Contains(ExpertParameters.OldName(module)))
                    module = ExpertParameters.OldName(module);
                AddToModule(module, found.Leaf, tensor, leaves.Shared);
            }
            else
            {
                throw new InputException(
                    $"{_path}: tensor {InputText.Quote(tensor.Name)} is not part of a {method.Name} adapter, expected "
                        + $"{string.Join(", ", leaves.Own.Concat(leaves.Shared).Order(StringComparer.Ordinal))} of its "
                        + "modules, or tensors of modules_to_save"
                );
            }
        }
    }

    /// <summary>The module paths, in ordinal order.</summary>
    public IReadOnlyCollection<string> Modules => _modules.Keys;

    /// <summary>Returns a module's tensors by leaf name; empty if it has none.</summary>
    public IReadOnlyDictionary<string, AdapterTensor> Of(string module) => _modules.GetValueOrDefault(module) ?? [];

    /// <summary>Returns the shape of a module's tensor, or of a shared one; null if there is none.</summary>
    public IReadOnlyList<long>? Shape(string module, string leaf) =>
        Of(module).GetValueOrDefault(leaf)?.Shape ?? Common(leaf)?.Shape;

    /// <summary>Returns whether the file holds a declared tensor.</summary>
    public bool Has(AdaptedModule module, StoredTensor declared) => Lookup(module, declared) is not null;

    /// <summary>Returns the stored tensor of a declared one.</summary>
    /// <exception cref="InputException">The tensor is missing or has another shape.</exception>
    public AdapterTensor Find(AdaptedModule module, StoredTensor declared)
    {
        AdapterTensor? tensor = Lookup(module, declared);
        if (tensor is null)
        {
            throw new InputException(
                declared.IsShared
                    ? $"{_path}: lacks the tensor {declared.Name} {declared.Shape} that all modules share; "
                        + "save it with the adapter (save_projection)"
                    : $"{_path}: {InputText.Quote(module.Shape.Name)} lacks a tensor, expected "
                        + $"{declared.Name} {declared.Shape}"
            );
        }

        if (!tensor.Shape.SequenceEqual(declared.Shape.Dimensions()))
        {
            throw new InputException(
                $"{_path}: tensor {InputText.Quote(tensor.Name)} is {InputText.Shape([.. tensor.Shape])}, "
                    + $"expected {declared.Shape} "
                    + $"for a weight [{module.Shape.Out}, {module.Shape.In}]; is it the adapter of another "
                    + "model, or made with other settings?"
            );
        }

        return tensor;
    }

    private AdapterTensor? Lookup(AdaptedModule module, StoredTensor declared) =>
        declared.IsShared ? Common(declared.Name) : Of(module.Shape.Name).GetValueOrDefault(declared.Name);

    private AdapterTensor? Common(string name) => _shared.GetValueOrDefault(name) ?? _repeated.GetValueOrDefault(name);

    /// <summary>
    /// Returns the name of an adapted layer's bias. PEFT up to 0.5 stores it under the layer's own name.
    /// </summary>
    private static string OfWrapped(string name, AdapterConfig config) =>
        name.EndsWith(Bias, StringComparison.Ordinal) && config.Matches(name[..^Bias.Length])
            ? $"{name[..^Bias.Length]}.{WrappedBias}"
            : name;

    private static Regex Key(string before, string leaf)
    {
        int dot = leaf.IndexOf('.');
        (string head, string tail) = dot < 0 ? (leaf, "") : (leaf[..dot], leaf[dot..]);
        // PEFT strips .weight from DoRA's magnitudes; a model's state dict still has it.
        string end = dot < 0 ? @"(?:\.weight)?" : Regex.Escape(tail);
        return new Regex($@"\A{before}{Regex.Escape(head)}(?:\.[^.]+)?{end}\z", RegexOptions.CultureInvariant);
    }

    private static (string? Leaf, string Module)? Find((string? Leaf, Regex Key)[] keys, string name)
    {
        foreach ((string? leaf, Regex key) in keys)
        {
            if (key.Match(name) is { Success: true } match)
                return (leaf, match.Groups["module"].Value);
        }
        return null;
    }

    private void AddToModule(string module, string? leaf, AdapterTensor tensor, IReadOnlySet<string> shared)
    {
        if (leaf is null)
            return;
        if (shared.Contains(leaf))
        {
            _repeated.TryAdd(leaf, tensor);
            return;
        }
        if (!_modules.TryGetValue(module, out Dictionary<string, AdapterTensor>? tensors))
            _modules.Add(module, tensors = new Dictionary<string, AdapterTensor>(StringComparer.Ordinal));
        Add(tensors, leaf, tensor, InputText.Quote(module));
    }

    private void Add(Dictionary<string, AdapterTensor> tensors, string leaf, AdapterTensor tensor, string owner)
    {
        if (!tensors.TryAdd(leaf, tensor))
            throw new InputException($"{_path}: {owner} has two tensors {leaf}, expected one");
    }
}
