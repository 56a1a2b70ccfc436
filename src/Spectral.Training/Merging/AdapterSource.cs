using System.Numerics.Tensors;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Tensor = Spectral.Kernels.Tensor;

namespace Spectral.Training.Merging;

/// <summary>An adapter of the base, as the dense changes that its layers make.</summary>
internal sealed class AdapterSource : MergeSource
{
    private readonly ModelFolder _model;
    private readonly AdapterReader _adapter;
    private readonly Device _device;
    private readonly Dictionary<string, AdaptedModule> _weights;
    private readonly Dictionary<string, AdaptedModule> _biases;
    private readonly Dictionary<string, SavedTensor> _saved;

    /// <summary>Opens the adapter and checks that a checkpoint of the base can hold what it changes.</summary>
    /// <exception cref="InputException">
    /// The adapter is malformed, was made for another model, or does more than change tensors of the base.
    /// </exception>
    public AdapterSource(ModelFolder model, string directory, Device device)
    {
        (_model, _device, Directory) = (model, device, directory);
        _adapter = new AdapterReader(directory, model);
        try
        {
            Merger.RequireMergeable(_adapter, directory);
            _weights = _adapter.Modules.ToDictionary(module => $"{module.Shape.Name}.weight");
            _biases = _adapter
                .Modules.Where(module => module.Form.Bias is not null)
                .ToDictionary(module => $"{module.Shape.Name}.bias");
            if (_biases.Values.FirstOrDefault(module => !module.Shape.HasBias) is { } other)
            {
                throw new InputException(
                    $"{directory}: the {_adapter.Method.Name} adapter gives {other.Shape.Name} a "
                        + $"bias, for which a checkpoint of {model.Directory} has no place"
                );
            }

            _saved = [];
            foreach (SavedTensor saved in _adapter.Saved.OrderBy(tensor => tensor.Tokens is not null))
                _saved[saved.Name] = saved; // rows replace those of a table that replaces the base's
            Parts = _adapter.Parts(model);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override string Directory { get; }

    public override IReadOnlyList<string> Warnings => _adapter.Warnings;

    public override bool Parts { get; }

    public override bool Changes(string tensor)
    {
        string name = Source(tensor);
        return _weights.ContainsKey(name) || _biases.ContainsKey(name) || _saved.ContainsKey(name);
    }

    public override InputTensor Open(string tensor)
    {
        string name = Source(tensor);
        if (Module(tensor) is { } module)
            return InputTensor.OfChange(ChangeOf(module));
        float[] change = Values(name);
        TensorPrimitives.Subtract(change, _model.Untied(name).ToFloats(), change);
        return InputTensor.OfChange(change);
    }

    public override int? RankOf(string tensor)
    {
        if (!Changes(tensor))
            return 0;
        return Module(tensor) is { Form.AddsTermsOnly: true } module ? module.Form.Rank : null;
    }

    public override (float[] Left, float[] Right) Factors(string tensor)
    {
        AdaptedModule module = Module(tensor)!;
        return new EquivalentLora(_adapter, Directory, _model).Factors(module, module.Form.Rank, _device);
    }

    public override PlainFactors? PlainFactorsOf(string tensor)
    {
        // One term of two stored factors, which other programs read as A and B.
        if (
            Module(tensor) is not { Form: { AddsTermsOnly: true, Terms: [{ Middle: null } term] } } module
            || term is not { Left: Factor { Name: LoraNames.B }, Right: Factor { Name: LoraNames.A } }
        )
        {
            return null;
        }

        return new EquivalentLora(_adapter, Directory, _model).Evaluate(
            module,
            _device,
            _ => new PlainFactors(term.Left.Value.ToArray(), term.Right.Value.ToArray(), term.Rank, term.Scale)
        );
    }

    /// <summary>Computes the values of a tensor with the adapter, in F32.</summary>
    public float[] Values(string tensor)
    {
        string name = Source(tensor);
        if (_weights.TryGetValue(name, out AdaptedModule? module))
            return Compute(_model, _adapter, module, _device, core => core.MergedWeight());
        if (_biases.TryGetValue(name, out module))
            return Compute(_model, _adapter, module, _device, core => core.Bias!.ToArray());
        SavedTensor saved = _saved[name];
        float[] own = _adapter.Stored(saved).ToFloats();
        return saved.Tokens is null ? own : WithRows(_adapter.BaseOf(_model, name).ToFloats(), saved, own);
    }

    /// <summary>Computes one module of an adapter and reads something of it.</summary>
    public static float[] Compute(
        ModelFolder model,
        AdapterReader adapter,
        AdaptedModule module,
        Device device,
        Func<AdapterCore, float[]> read
    )
    {
        (string name, ModuleShape shape) = (module.Shape.Name, module.Shape);
        float[] values = adapter.ReadBase(model, module, device);
        using var weight = new Parameter($"{name}.weight", Tensor.From(device, values, (shape.Out, shape.In)));
        using Parameter? bias = shape.HasBias
            ? new Parameter($"{name}.bias", Tensor.From(device, model[$"{name}.bias"].ToFloats(), shape.Out))
            : null;
        return DenseChange.Read(adapter, module, weight, bias, read);
    }

    public override void Dispose() => _adapter.Dispose();

    /// <summary>
    /// Returns the adapted layer whose weight a tensor is; null: there is none, or the tensor is saved.
    /// </summary>
    private AdaptedModule? Module(string tensor) =>
        _saved.ContainsKey(Source(tensor)) ? null : _weights.GetValueOrDefault(Source(tensor));

    /// <summary>Returns the tensor whose change a tensor has: a tied head has that of the embedding.</summary>
    private string Source(string tensor) =>
        tensor == _model.Config.HeadWeight && _model.Config.TieWordEmbeddings && !Parts
            ? _model.Config.Family.EmbeddingWeight
            : tensor;

    // The sum W + ΔW is rounded to W's precision, so that ΔW alone is more exact where the form has it.
    private float[] ChangeOf(AdaptedModule module)
    {
        if (module.Form.IsSum)
            return Compute(_model, _adapter, module, _device, core => core.ChangeAlone());
        float[] change = Values($"{module.Shape.Name}.weight");
        TensorPrimitives.Subtract(change, _model.Untied($"{module.Shape.Name}.weight").ToFloats(), change);
        return change;
    }

    private static float[] WithRows(float[] table, SavedTensor rows, float[] own)
    {
        int columns = rows.Shape[1];
        for (int i = 0; i < rows.Tokens!.Count; i++)
            own.AsSpan(i * columns, columns).CopyTo(table.AsSpan(rows.Tokens[i] * columns));
        return table;
    }
}
