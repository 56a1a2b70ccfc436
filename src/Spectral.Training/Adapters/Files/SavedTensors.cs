using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// The tensors of an adapter folder that belong to whole modules: those of <c>modules_to_save</c>, and embeddings that
/// PEFT stores beside factors because they are adapted or were resized. Trained biases of layers without an adapter
/// belong here too.
/// </summary>
internal sealed class SavedTensors
{
    private const string Original = ".original_module.";
    private const string Wrapper = ".modules_to_save.";
    private const string Wrapped = ".base_layer.";
    private const string Token = ".token_adapter.";
    private const string TokenRows = Token + "trainable_tokens_delta";

    private readonly AdapterFolder _folder;
    private readonly IReadOnlyList<string> _modules;
    private readonly Dictionary<string, TensorSpec>? _model;
    private readonly HashSet<string>? _names;
    private readonly SortedDictionary<string, SafetensorsTensor> _tensors = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, SafetensorsTensor> _rows = new(StringComparer.Ordinal);

    /// <summary>Creates an empty collection, which <see cref="Take"/> fills.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="model">The model's tensors; null if the model is unknown.</param>
    public SavedTensors(AdapterFolder folder, IReadOnlyList<TensorSpec>? model)
    {
        (_folder, _modules) = (folder, folder.Config.Options.ModulesToSave);
        _model = model?.ToDictionary(tensor => tensor.Name);
        _names = _model?.Keys.ToHashSet();
    }

    /// <summary>
    /// Takes a tensor if it belongs to a whole module, under any name that a version of PEFT gives it.
    /// </summary>
    /// <param name="tensor">A tensor of the adapter's file.</param>
    /// <param name="name">Its name without PEFT's prefix.</param>
    /// <param name="isFactor">
    /// Whether it has the name of a factor. A saved module has no factors, but may contain layers that have.
    /// </param>
    /// <returns>Whether it was taken, or is a meaningless copy of the base's.</returns>
    /// <exception cref="InputException">The tensor exists twice.</exception>
    public bool Take(AdapterTensor tensor, string name, bool isFactor)
    {
        if (name.Contains(Original, StringComparison.Ordinal))
            return true;
        int token = name.IndexOf(Token, StringComparison.Ordinal);
        if (token >= 0)
            return TakeRows(tensor, name, token);
        if (tensor.Source is not { } source || NameOf(name, isFactor) is not { } found)
            return false;
        if (!_tensors.TryAdd(found, source))
            throw new InputException($"{_folder.WeightsPath}: there are two tensors of {found}, expected one");
        return true;
    }

    /// <summary>
    /// Lists the tensors for which the adapter has its own values, in model order. Adds a warning for an entry of
    /// <c>modules_to_save</c> that matches nothing.
    /// </summary>
    /// <exception cref="InputException">A tensor is missing, or has another shape than the model's.</exception>
    public IReadOnlyList<SavedTensor> Check(List<string> warnings)
    {
        if (_model is null)
        {
            return
            [
                .. _tensors.Select(pair => Described(pair.Key, pair.Value.Shape)),
                .. _rows.Select(pair => RowsWithoutModel(pair.Key, pair.Value)),
            ];
        }
        if (SavedModules.Unknown([.. _model.Values], _modules) is { } unknown)
        {
            warnings.Add(
                $"{_folder.Directory}: modules_to_save has {InputText.Quote(unknown)}, which means no module "
                    + "of the model"
            );
        }

        List<SavedTensor> saved = [];
        foreach (TensorSpec wanted in _model.Values)
        {
            if (!_tensors.TryGetValue(wanted.Name, out SafetensorsTensor? tensor))
            {
                if (SavedModules.Includes(_modules, wanted.Name))
                {
                    throw new InputException(
                        $"{_folder.WeightsPath}: lacks a tensor of modules_to_save, expected "
                            + $"{wanted.Name} {InputText.Shape([.. wanted.Shape])}"
                    );
                }

                continue;
            }
            if (wanted.IsTransposed)
                throw new InputException($"{tensor.Path}: {wanted.Name} {SavedModules.Transposed}");
            CheckShape(tensor, wanted);
            saved.Add(Described(wanted.Name, wanted.Shape));
        }
        saved.AddRange(CheckRows());
        return saved;
    }

    /// <summary>The stored tensor of an entry.</summary>
    public SafetensorsTensor this[SavedTensor saved] =>
        saved.Tokens is null ? _tensors[saved.Name] : _rows[saved.Module];

    /// <summary>Returns the rows that the config names, after checking their tensors.</summary>
    private IEnumerable<SavedTensor> CheckRows()
    {
        IReadOnlyList<SavedTensor> wanted = SavedRows.Of([.. _model!.Values], _folder.Config.Options.TrainableTokens);
        foreach (SavedTensor rows in wanted)
        {
            if (!_rows.TryGetValue(rows.Module, out SafetensorsTensor? tensor))
            {
                throw new InputException(
                    $"{_folder.WeightsPath}: lacks the rows of trainable_token_indices, expected "
                        + $"{rows.Key} {rows.Shape}"
                );
            }

            if (!tensor.Shape.SequenceEqual(rows.Shape.Dimensions()))
            {
                throw new InputException(
                    $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} is "
                        + $"{InputText.Shape([.. tensor.Shape])}, expected {rows.Shape}, a row for each of "
                        + "trainable_token_indices"
                );
            }
        }
        if (_rows.Keys.FirstOrDefault(module => !wanted.Any(rows => rows.Module == module)) is { } unknown)
        {
            throw new InputException(
                $"{_folder.WeightsPath}: has rows of {InputText.Quote(unknown)}, which "
                    + "trainable_token_indices does not name"
            );
        }

        return wanted;
    }

    /// <summary>Takes a tensor of rows. PEFT 0.15 also stores the base's rows, which are ignored.</summary>
    private bool TakeRows(AdapterTensor tensor, string name, int at)
    {
        if (!name[at..].StartsWith(TokenRows, StringComparison.Ordinal))
            return true;
        string module = InModel(name[..at] + ".weight")[..^".weight".Length];
        if (tensor.Source is not { } source || !_rows.TryAdd(module, source))
        {
            throw new InputException(
                $"{_folder.WeightsPath}: there are two tensors of {module}{TokenRows}, expected " + "one"
            );
        }

        return true;
    }

    private SavedTensor Described(string name, IReadOnlyList<long> shape) =>
        SavedTensor.Of(new TensorSpec(name, shape), SavedModules.Includes(_modules, name) || IsOtherBias(name));

    private SavedTensor RowsWithoutModel(string module, SafetensorsTensor tensor)
    {
        IReadOnlyList<int>? tokens = _folder
            .Config.Options.TrainableTokens.FirstOrDefault(pair => module.EndsWith(pair.Key, StringComparison.Ordinal))
            .Value;
        return tokens is not null && tensor.Shape.Count == 2 && tensor.Shape[0] == tokens.Count
            ? SavedTensor.RowsOf(new TensorSpec($"{module}.weight", tensor.Shape), tokens)
            : throw new InputException(
                $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} is "
                    + $"{InputText.Shape([.. tensor.Shape])}, expected a row for each of trainable_token_indices"
            );
    }

    /// <summary>Returns whether a name is that of a bias of a layer without factors.</summary>
    private bool IsOtherBias(string name) =>
        IsBiasOfPruned(name)
        || (
            _folder.Config.Options.Bias == AdapterBias.All
            && name.EndsWith(AdapterTensors.Bias, StringComparison.Ordinal)
            && !_folder.Config.Matches(name[..^AdapterTensors.Bias.Length])
        );

    private bool IsBiasOfPruned(string name) =>
        _folder.Config.Options.Bias != AdapterBias.None
        && name.EndsWith(AdapterTensors.Bias, StringComparison.Ordinal)
        && _folder.Config.Options.IsPruned(name[..^AdapterTensors.Bias.Length]);

    private static void CheckShape(SafetensorsTensor tensor, TensorSpec wanted)
    {
        if (tensor.Shape.SequenceEqual(wanted.Shape))
            return;
        string found =
            $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} is "
            + $"{InputText.Shape([.. tensor.Shape])}, expected {InputText.Shape([.. wanted.Shape])} as in the model";
        bool isResized =
            ModelFamilies.IsTable(wanted.Name) && tensor.Shape.Count == 2 && tensor.Shape[1] == wanted.Shape[1];
        throw new InputException(
            found
                + (
                    isResized
                        ? "; the vocabulary was resized before training: expected a base model of "
                            + $"{tensor.Shape[0]} tokens, such as the resized one, saved"
                        : "; is it the adapter of another model?"
                )
        );
    }

    private string? NameOf(string name, bool isFactor)
    {
        int at = name.IndexOf(Wrapper, StringComparison.Ordinal);
        if (at >= 0)
        {
            // The adapter's name may stand in between: PEFT omits it, other writers do not.
            (string module, string rest) = (name[..(at + 1)], name[(at + Wrapper.Length)..]);
            (string with, string without) = (InModel(module + rest), InModel(module + rest[(rest.IndexOf('.') + 1)..]));
            return _model is null || !_model.ContainsKey(with) ? without : with;
        }
        string plain = InModel(name.Replace(Wrapped, ".", StringComparison.Ordinal));
        // PEFT also wraps a layer whose rank was reduced to 0.
        if (ModelFamilies.IsTable(plain) || IsBiasOfPruned(plain))
            return plain;
        bool isMeant = SavedModules.Includes(_modules, plain) || IsOtherBias(plain);
        bool isWhole = _model?.ContainsKey(plain) ?? !isFactor;
        return isMeant && isWhole && !name.Contains(Wrapped, StringComparison.Ordinal) ? plain : null;
    }

    private string InModel(string name) =>
        _names is null ? WrappedNames.Unwrap(name) : WrappedNames.Resolve(name, _names);
}
