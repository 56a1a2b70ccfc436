using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Compares the weights of a tuned model with those of its base, matrix by matrix. Only one pair of matrices is in
/// memory at a time, in double.
/// </summary>
public sealed class SpectraAnalysis : IDisposable
{
    private readonly ModelFolder _baseModel;
    private readonly ModelFolder _tunedModel;
    private readonly AdapterReader? _adapter;
    private readonly SpectraOptions _options;
    private readonly LinearSpec[] _layers;
    private readonly string? _adapterDirectory;
    private readonly IntruderMitigation? _mitigation;
    private readonly PrincipalPart? _principal;

    /// <summary>Prepares an analysis and checks everything that can be checked before a weight is read.</summary>
    /// <param name="baseModel">The base model.</param>
    /// <param name="tunedModel">The tuned model; the base itself if the tuning is an adapter on it.</param>
    /// <param name="adapterDirectory">An adapter on the tuned model, or null.</param>
    /// <param name="targets">The layers to compare, as in <see cref="AdapterOptions.TargetModules"/>.</param>
    /// <param name="options">The settings of the analysis.</param>
    /// <param name="mitigation">
    /// How <see cref="WriteMitigated"/> is to scale intruder dimensions; null if it will not be called.
    /// </param>
    /// <param name="principal">
    /// How much of each update <see cref="WritePrincipal"/> is to keep; null if it will not be called.
    /// </param>
    /// <exception cref="InputException">
    /// The models differ in shape, a target matches no layer, or the adapter does not belong to the tuned model or
    /// cannot be merged; or a changed model is to be written and a layer shares its weight, or is not decomposed
    /// exactly where that is needed.
    /// </exception>
    public SpectraAnalysis(
        ModelFolder baseModel,
        ModelFolder tunedModel,
        string? adapterDirectory,
        IReadOnlyList<string> targets,
        SpectraOptions options,
        MitigationOptions? mitigation = null,
        PrincipalOptions? principal = null
    )
    {
        options.Validate();
        mitigation?.Validate();
        principal?.Validate();
        (_baseModel, _tunedModel, _options) = (baseModel, tunedModel, options);
        _adapterDirectory = adapterDirectory;
        LinearSpec[] all = [.. ModelTensors.Adaptable(baseModel.Config)];
        AdapterOptions chosen = AdapterTargets.InFamily(
            baseModel.Config,
            new AdapterOptions { TargetModules = targets }
        );
        _layers = AdapterTargets.Choose(all, linear => linear.Name, chosen);
        foreach (LinearSpec layer in _layers)
            CheckShapes(layer);
        if (mitigation is not null || principal is not null)
            WeightCorrections.Require(tunedModel, _layers);
        if (mitigation is not null)
        {
            IntruderMitigation.Require(_layers, options);
            _mitigation = new IntruderMitigation(mitigation);
        }

        if (principal is not null)
            _principal = new PrincipalPart(principal, baseModel);
        if (adapterDirectory is null)
            return;
        _adapter = new AdapterReader(adapterDirectory, tunedModel);
        try
        {
            Merger.RequireMergeable(_adapter, adapterDirectory);
        }
        catch
        {
            _adapter.Dispose();
            throw;
        }
    }

    /// <summary>The number of matrices to compare.</summary>
    public int Count => _layers.Length;

    /// <summary>The warnings about things in the adapter that are unusual but harmless, one line each.</summary>
    public IReadOnlyList<string> Warnings => _adapter?.Warnings ?? [];

    /// <summary>Compares all matrices, one after another.</summary>
    /// <param name="device">The device to compute on.</param>
    /// <param name="rounding">
    /// The type to which both weights are first rounded, as a model that computes in it sees them; null: as stored.
    /// </param>
    /// <param name="done">Receives the number of matrices done and the name of the last one.</param>
    /// <param name="cancellation">Checked between decompositions.</param>
    /// <exception cref="InputException">A weight holds NaN or infinite values.</exception>
    public ModelSpectra Run(
        Device device,
        StoredType? rounding = null,
        Action<int, string>? done = null,
        CancellationToken cancellation = default
    )
    {
        var decomposer = new Decomposer(device, _options);
        var matrices = new List<MatrixSpectra>();
        foreach (LinearSpec layer in _layers)
        {
            cancellation.ThrowIfCancellationRequested();
            WeightPair weights = Read(layer, device, rounding);
            var decomposed = DecomposedPair.Of(weights, decomposer);
            var matrix = MatrixSpectra.Of(weights, decomposed, decomposer, _options, cancellation);
            matrices.Add(matrix);
            _mitigation?.Collect(matrix, decomposed.Pair.Tuned);
            _principal?.Collect(matrix, decomposed.Change);
            done?.Invoke(matrices.Count, layer.Name);
        }
        return ModelSpectra.Of(matrices);
    }

    /// <summary>
    /// Writes the tuned model, with the adapter merged if there is one, after <see cref="Run"/> found its intruder
    /// dimensions: their singular values are multiplied by the factor of the options, everything else stays. Tensors
    /// keep their types, and there are as many files of weights as the tuned model has.
    /// </summary>
    /// <param name="directory">An existing folder for the result.</param>
    /// <param name="device">The device to merge the adapter on.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <returns>The matrices that changed, in model order.</returns>
    /// <exception cref="InputException">A value is too large for the stored type.</exception>
    /// <exception cref="InvalidOperationException">The analysis was made without options for it.</exception>
    public IReadOnlyList<MitigatedMatrix> WriteMitigated(
        string directory,
        Device device,
        CancellationToken cancellation = default
    )
    {
        if (_mitigation is null)
            throw new InvalidOperationException("the analysis was made without options for the mitigation");
        _mitigation.Corrections.Write(_tunedModel, _adapterDirectory, directory, device, cancellation);
        return _mitigation.Matrices;
    }

    /// <summary>
    /// Writes the tuned model, with the adapter merged if there is one, after <see cref="Run"/>, with the principal
    /// part of each update alone: the base weight plus the leading triplets of Δ. Tensors keep their types, and there
    /// are as many files of weights as the tuned model has.
    /// </summary>
    /// <param name="directory">An existing folder for the result.</param>
    /// <param name="device">The device to merge the adapter on.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <returns>The matrices whose update was cut, in model order.</returns>
    /// <exception cref="InputException">A value is too large for the stored type.</exception>
    /// <exception cref="InvalidOperationException">The analysis was made without options for it.</exception>
    public IReadOnlyList<PrincipalMatrix> WritePrincipal(
        string directory,
        Device device,
        CancellationToken cancellation = default
    )
    {
        if (_principal is null)
            throw new InvalidOperationException("the analysis was made without options for the principal part");
        _principal.Corrections.Write(_tunedModel, _adapterDirectory, directory, device, cancellation);
        return _principal.Matrices;
    }

    /// <summary>Closes the adapter. The models stay open.</summary>
    public void Dispose() => _adapter?.Dispose();

    private void CheckShapes(LinearSpec layer)
    {
        SafetensorsTensor before = _baseModel.Untied(layer.Weight);
        if (!_tunedModel.HasUntied(layer.Weight))
        {
            throw new InputException(
                $"{_tunedModel.Directory}: no tensor {layer.Weight}, which {_baseModel.Directory} has "
                    + $"with {InputText.Shape([.. before.Shape])}; expected models of one architecture"
            );
        }

        SafetensorsTensor after = _tunedModel.Untied(layer.Weight);
        if (!before.Shape.SequenceEqual(after.Shape))
        {
            throw new InputException(
                $"{after.Path}: tensor {layer.Weight} is {InputText.Shape([.. after.Shape])}, in "
                    + $"{before.Path} it is {InputText.Shape([.. before.Shape])}; expected models of one architecture"
            );
        }

        if (before.Count > Array.MaxLength)
        {
            throw new InputException(
                $"{before.Path}: tensor {layer.Weight} is {InputText.Shape([.. before.Shape])}; expected "
                    + $"at most {Array.MaxLength} elements"
            );
        }
    }

    private WeightPair Read(LinearSpec layer, Device device, StoredType? rounding)
    {
        SafetensorsTensor before = _baseModel.Untied(layer.Weight);
        SavedTensor? saved = _adapter?.Saved.FirstOrDefault(tensor => tensor.Name == layer.Weight);
        SafetensorsTensor after = saved is null ? _tunedModel.Untied(layer.Weight) : _adapter!.Stored(saved);
        AdaptedModule? module = _adapter?.Modules.FirstOrDefault(module => module.Shape.Name == layer.Name);
        float[] zero = before.ToFloats();
        float[] one = module is null ? after.ToFloats() : Merger.MergedWeight(_tunedModel, _adapter!, module, device);
        if (FiniteValues.FirstNonFinite(one) is >= 0 and var at)
        {
            throw new InputException(
                $"the merged tensor {after.Name} holds {FiniteValues.Describe(one[at], at, after.Shape)}; "
                    + "expected finite numbers"
            );
        }

        if (rounding == StoredType.BF16)
            (zero, one) = (Rounded(zero), Rounded(one));
        return new WeightPair(
            layer.Weight,
            HostMatrix.From(zero, layer.Outputs, layer.Inputs),
            HostMatrix.From(one, layer.Outputs, layer.Inputs)
        )
        {
            BaseType = rounding ?? before.Type,
            TunedType = rounding ?? (module is null ? after.Type : StoredType.F32),
            BaseIsExact = rounding is null && ReferenceEquals(_baseModel, _tunedModel),
            Mask = module is null ? null : SpectralMask.Of(_adapter!, module),
        };
    }

    private static float[] Rounded(float[] values) => Array.ConvertAll(values, BFloat16.Round);
}
