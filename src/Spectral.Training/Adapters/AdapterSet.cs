using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>
/// Several adapters attached to one base at a time, for inference: each record of a batch takes the one that it names
/// (<see cref="EncodedRecord.Adapter"/>), or the base alone. One pass computes all records of a batch, as S-LoRA does
/// (Sheng et al., 2023, arXiv 2311.03285): the frozen products of all rows together, then the low-rank products of
/// each adapter for its rows.
/// </summary>
/// <remarks>
/// Adapters come and go between batches, and the others stay where they are. An adapter that changes more than layers
/// of the blocks cannot run beside others (<see cref="WhyAlone"/>); <see cref="Alone"/> attaches it by itself.
/// </remarks>
/// <example>
/// <code>
/// using AdapterSet adapters = new(model);
/// adapters.Add("french", Path.Combine(adapterPath, "french"));
/// adapters.Add("legal", Path.Combine(adapterPath, "legal"));
/// EncodedRecord[] mixed = [records[0] with { Adapter = "french" }, records[1] with { Adapter = "legal" }, records[2]];
/// EvaluationResult scores = Evaluator.Evaluate(model, mixed);
/// adapters.Remove("french");
/// </code>
/// </example>
public sealed class AdapterSet : IModelAdapter
{
    private readonly CausalLanguageModel _model;
    private readonly Dictionary<string, Member> _members = new(StringComparer.Ordinal);
    private readonly Dictionary<SiblingLinears, GroupedAdapters> _layers = [];

    /// <summary>Attaches an empty set to a model, which computes with its base weights as yet.</summary>
    /// <param name="model">A model with frozen weights and no adapter.</param>
    /// <exception cref="InvalidOperationException">
    /// The model's own weights train, or it has adapters already.
    /// </exception>
    public AdapterSet(CausalLanguageModel model)
    {
        Adapter.RequireFrozen(model);
        _model = model;
        model.Adapter = this;
    }

    /// <summary>The names of the adapters, in the order in which they were added.</summary>
    public IReadOnlyCollection<string> Names => _members.Keys;

    /// <inheritdoc/>
    ParameterSet? IModelAdapter.Parameters => null;

    /// <inheritdoc/>
    IVirtualTokens? IModelAdapter.VirtualTokens => null;

    /// <summary>The rows of the batch that is computed, by adapter.</summary>
    internal IReadOnlyList<AdapterSpan> Spans { get; private set; } = [];

    /// <summary>Adds an adapter from a folder in PEFT layout.</summary>
    /// <param name="name">The name by which records ask for it.</param>
    /// <param name="directory">The adapter's folder, which stays as it is while the adapter is in the set.</param>
    /// <exception cref="InputException">
    /// There is one of this name already, or the folder holds no adapter of a known kind or one made for another model.
    /// </exception>
    public void Add(string name, string directory)
    {
        if (_members.ContainsKey(name))
            throw new InputException($"{directory}: there is an adapter {InputText.Quote(name)} already");
        var adapter = Adapter.Read(_model, directory);
        try
        {
            string? refusal = adapter.WhyAlone();
            var member = new Member(directory, refusal is null ? adapter : null, refusal);
            if (refusal is null)
                Pack(name, adapter);
            else
                adapter.Dispose();
            _members.Add(name, member);
        }
        catch
        {
            Unpack(name);
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Removes an adapter and frees its memory.</summary>
    /// <param name="name">The name by which it was added.</param>
    /// <exception cref="InputException">There is none of this name; the message lists those there are.</exception>
    public void Remove(string name)
    {
        Member member = Find(name);
        _members.Remove(name);
        Unpack(name);
        member.Adapter?.Dispose();
    }

    /// <summary>Returns why records of an adapter cannot be computed beside those of others; null: they can.</summary>
    /// <param name="name">The name of the adapter.</param>
    /// <exception cref="InputException">There is none of this name; the message lists those there are.</exception>
    public string? WhyAlone(string name) => Find(name).Refusal;

    /// <summary>
    /// Attaches one adapter by itself in place of the set, for all records whatever they name, until the returned value
    /// is disposed. Any adapter can be used so.
    /// </summary>
    /// <param name="name">The name of the adapter.</param>
    /// <exception cref="InputException">
    /// There is none of this name, or its folder cannot be read any more.
    /// </exception>
    public IDisposable Alone(string name)
    {
        Member member = Find(name);
        Detach();
        try
        {
            return new LoneAdapter(this, Adapter.Load(_model, member.Directory));
        }
        catch
        {
            Attach();
            throw;
        }
    }

    /// <inheritdoc/>
    void IModelAdapter.Begin(Batch batch, KeyValueCache? cache)
    {
        foreach (string name in batch.AdapterSpans.Select(span => span.Adapter).Distinct())
        {
            if (Find(name).Refusal is { } refusal)
            {
                throw new InputException(
                    $"adapter {InputText.Quote(name)} cannot run beside others, since {refusal}; expected its records "
                        + "by themselves"
                );
            }
        }
        Spans = batch.AdapterSpans;
    }

    /// <summary>Detaches all adapters from the model and frees them.</summary>
    public void Dispose()
    {
        if (_model.Adapter == this)
            Detach();
        foreach (string name in _members.Keys.ToArray())
            Remove(name);
    }

    private Member Find(string name) =>
        _members.TryGetValue(name, out Member? member)
            ? member
            : throw new InputException(
                $"unknown adapter {InputText.Quote(name)}, known: "
                    + (_members.Count == 0 ? "none" : string.Join(", ", _members.Keys.Select(InputText.Quote)))
            );

    private void Pack(string name, Adapter adapter)
    {
        var modules = adapter.Modules.ToDictionary(module => module.Shape.Name);
        foreach (SiblingLinears siblings in _model.Linears.Select(linear => linear.Siblings).Distinct())
        {
            if (!siblings.Layers.Any(layer => modules.ContainsKey(layer.Name)))
                continue;
            if (!_layers.TryGetValue(siblings, out GroupedAdapters? grouped))
                _layers.Add(siblings, grouped = new GroupedAdapters(this));
            grouped.Members.Add(name, new PackedAdapters(siblings, modules, _model.DType));
            if (_model.Adapter == this)
                siblings.Adapter = grouped;
        }
    }

    private void Unpack(string name)
    {
        foreach ((SiblingLinears siblings, GroupedAdapters grouped) in _layers.ToArray())
        {
            if (!grouped.Members.Remove(name, out PackedAdapters? packed))
                continue;
            packed.Dispose();
            if (grouped.Members.Count > 0)
                continue;
            _layers.Remove(siblings);
            if (_model.Adapter == this)
                siblings.Adapter = null;
        }
    }

    private void Attach()
    {
        _model.Adapter = this;
        foreach ((SiblingLinears siblings, GroupedAdapters grouped) in _layers)
            siblings.Adapter = grouped;
    }

    private void Detach()
    {
        _model.Adapter = null;
        foreach (SiblingLinears siblings in _layers.Keys)
            siblings.Adapter = null;
    }

    private sealed record Member(string Directory, Adapter? Adapter, string? Refusal);

    /// <summary>One adapter of the set, attached by itself.</summary>
    private sealed class LoneAdapter(AdapterSet set, Adapter adapter) : IDisposable
    {
        public void Dispose()
        {
            adapter.Dispose();
            if (set._model.Adapter is null)
                set.Attach();
        }
    }
}
