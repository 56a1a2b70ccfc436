using Spectral.Kernels.Ops;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>
/// An adapter attached to a model: frozen base weights plus a small trainable change per target layer.
/// </summary>
/// <example>
/// <code>
/// AdapterOptions options = new() { Rank = 8, Alpha = 16 };
/// using (var adapter = Adapter.Attach(model, AdapterMethods.Find("lora"), options))
/// {
///     // … train adapter.Parameters
///     adapter.Save(adapterPath); // in PEFT's layout
/// }
///
/// using var loaded = Adapter.Load(model, adapterPath);
/// </code>
/// </example>
public sealed partial class Adapter : IModelAdapter, IDisposable
{
    private readonly CausalLanguageModel _model;
    private AdaptedModule[] _modules;
    private BoundFactors _factors;
    private readonly List<PackedAdapters> _packed = [];
    private readonly List<TrainedRows> _rows = [];
    private readonly bool _headFollows;
    private AdaptedModule? _head;
    private AdaptedModule? _beside; // the soft prompt beside the layers
    private BoundPrompt? _prompt;
    private RequantizedBase? _requantized;
    private string? _baseModel;
    private bool _frozenChanged;
    private bool _keptEntries;
    private Dictionary<string, string>? _baseDigests;

    private Adapter(
        CausalLanguageModel model,
        AdapterMethod method,
        AdapterOptions options,
        IReadOnlyList<AdaptedModule> modules,
        IReadOnlyList<SavedTensor> saved
    )
    {
        (_model, Method, Options, _modules) = (model, method, options, [.. modules]);
        // The config keeps the full path, which is valid in any working directory.
        _baseModel = model.Path is null ? null : Path.GetFullPath(model.Path);
        _headFollows = TiedHead.Follows(model.Config, options, saved, modules);
        _head = HeadOf(modules);
        _beside = method.PromptBeside(options)?.Describe(model.Config);
        _factors = FactorsOf(modules, _beside, saved);
        Parameters.Changed += Refresh;
        Parameters.Accumulated += AddPenalties;
    }

    /// <summary>
    /// Returns the adapter attached to a model; null where there is none, or several (<see cref="AdapterSet"/>).
    /// </summary>
    public static Adapter? Of(CausalLanguageModel model) => model.Adapter as Adapter;

    /// <summary>The method that changes the weights.</summary>
    public AdapterMethod Method { get; }

    /// <summary>The settings of the adapter, with its targets as resolved for the model.</summary>
    public AdapterOptions Options { get; }

    /// <summary>The adapted layers, in model order.</summary>
    public IReadOnlyList<AdaptedModule> Modules => _modules;

    /// <summary>
    /// The weights of the model that train whole beside the factors (<see cref="AdapterOptions.ModulesToSave"/>), named
    /// as in the model. Each has an F32 master, and a value in the compute type that the model uses in place of its own
    /// weight.
    /// </summary>
    public IEnumerable<Parameter> WholeWeights =>
        _factors.Saved.Where(pair => pair.Key.Trains).Select(pair => pair.Value);

    /// <summary>Whether the model ties its head to the embedding and the adapter changes only one of the two.</summary>
    public bool PartsTiedHead =>
        _model.Config.TieWordEmbeddings && !_headFollows && TiedHead.IsTouched(_factors.Saved.Keys, _modules);

    /// <summary>
    /// All trainable parameters: factors and whole weights. <see cref="KeepEntries"/> may replace the set.
    /// </summary>
    public ParameterSet Parameters => _factors.Trained;

    /// <summary>All parameters that do not train: stored factors and factors that only a schedule needs.</summary>
    internal IReadOnlyList<Parameter> Frozen => _factors.Frozen;

    /// <summary>The layers as the state of a run has them.</summary>
    internal IReadOnlyList<SavedLayer> SavedLayers =>
        [
            .. _modules.Select(module => new SavedLayer(
                module.Shape.Name,
                module.Options.Rank,
                module.Options.Alpha,
                _keptEntries ? module.Options.Settings : null
            )),
        ];

    /// <summary>The number of virtual tokens before every row, which take the first positions; usually 0.</summary>
    public int VirtualTokens => Method.VirtualTokens(Options);

    /// <inheritdoc/>
    IVirtualTokens? IModelAdapter.VirtualTokens => _prompt;

    /// <summary>The number of trainable scalars.</summary>
    public long TrainableCount => Parameters.Count;

    /// <summary>
    /// Runs the method's work before the forward passes of a step, under the same conditions as
    /// <see cref="BeforeUpdate"/>.
    /// </summary>
    /// <inheritdoc cref="BeforeUpdate"/>
    public void BeforeForward(int step, int steps)
    {
        if (Method.BeforeForward(StepOf(step, steps)))
            Renew();
    }

    /// <summary>
    /// Runs the method's work before an update. A caller's own training loop calls it once the gradients of a step are
    /// complete (<see cref="Optimizer.CompleteGradients"/>), if the method
    /// <see cref="AdapterMethod.ActsBetweenSteps"/>. <see cref="Trainer"/> does so by itself.
    /// </summary>
    /// <param name="step">The number of the step, 1 to <paramref name="steps"/>.</param>
    /// <param name="steps">The number of steps of the whole run.</param>
    public void BeforeUpdate(int step, int steps) => Method.BeforeUpdate(StepOf(step, steps));

    /// <summary>Runs the method's work after an update, like <see cref="BeforeUpdate"/>.</summary>
    /// <inheritdoc cref="BeforeUpdate"/>
    public void AfterUpdate(int step, int steps)
    {
        if (Method.AfterUpdate(StepOf(step, steps)))
            Renew();
    }

    private AdapterStep StepOf(int step, int steps) => new(Options, Modules, Parameters, step, steps);

    /// <summary>
    /// Recomputes everything that derives from the factors. Call it after writing values of any factor.
    /// </summary>
    internal void Renew()
    {
        _frozenChanged = true;
        Parameters.NotifyChanged();
    }

    /// <summary>
    /// Returns why the adapter cannot change some rows of a batch and leave others to other adapters; null: it can.
    /// </summary>
    internal string? WhyAlone()
    {
        if (VirtualTokens > 0)
            return "it puts virtual tokens before every record";
        if (Method.RequantizesBase)
            return "it quantises the base anew";
        if (Method.FollowsTokens)
            return "what it adds differs from token to token";
        if (_factors.Saved.Count > 0)
            return "it has whole weights in place of the base's (modules_to_save, bias or trainable tokens)";
        var blocks = _model.Linears.ToDictionary(linear => linear.Name);
        foreach (AdaptedModule module in _modules)
        {
            if (!blocks.TryGetValue(module.Shape.Name, out Linear? linear))
                return $"it adapts {module.Shape.Name}, which is outside the blocks";
            if (!linear.Siblings.ReadsAllTokens)
                return $"it adapts {module.Shape.Name}, an expert, which sees some of the tokens";
        }
        return null;
    }

    /// <summary>Detaches the adapter from the model, which then computes with its base weights again.</summary>
    public void Detach()
    {
        if (_model.Adapter != this)
            return;
        foreach (PackedAdapters packed in _packed)
            packed.Reduce();
        foreach (Linear linear in _model.Adaptable)
            (linear.Adapter, linear.Siblings.Adapter) = (null, null);
        _requantized?.Dispose();
        foreach (SavedTensor saved in _factors.Saved.Keys)
            _model.ParameterOf(saved.Name).StandIn = null;
        _model.ParameterOf(_model.Config.HeadWeight).StandIn = null;
        foreach (TrainedRows rows in _rows)
            rows.Dispose();
        _rows.Clear();
        _model.Adapter = null;
    }

    /// <summary>
    /// Has the model compute with its base weights until the returned value is disposed. Unlike <see cref="Detach"/>,
    /// it moves and copies nothing. Meanwhile the model cannot train.
    /// </summary>
    internal IDisposable Suspend() =>
        new SuspendedAdapter(_model, _factors.Saved.Keys.Select(saved => saved.Name).Concat(_requantized?.Names ?? []));

    /// <inheritdoc/>
    public void Dispose()
    {
        Detach();
        foreach (PackedAdapters packed in _packed)
            packed.Dispose();
        _prompt?.Dispose();
        _rowsOfBatch?.Dispose();
        _loads?.Dispose();
        _factors.Dispose();
    }

    private void Bind()
    {
        _requantized = RequantizedBase.Of(_model, Method, Layers);
        RequireRows();
        foreach (
            (SavedTensor tensor, Parameter parameter) in _factors.Saved.OrderBy(pair => pair.Key.Tokens is not null)
        )
        {
            parameter.Refresh();
            Parameter weight = _model.ParameterOf(tensor.Name);
            if (tensor.Tokens is null)
            {
                weight.StandIn = parameter;
                continue;
            }
            var rows = new TrainedRows(weight, tensor.Tokens, parameter);
            _rows.Add(rows);
            rows.Refresh();
            weight.StandIn = rows.Table;
        }
        if (_headFollows)
        {
            ModelFamily family = _model.Config.Family;
            _model.ParameterOf(_model.Config.HeadWeight).StandIn = _model.ParameterOf(family.EmbeddingWeight).StandIn;
        }

        if (Method is PromptMethod prompt)
            _prompt = new BoundPrompt(_model, _modules[0], prompt.IsPrefix);
        else if (_beside is not null)
            _prompt = new BoundPrompt(_model, _beside, Method.PromptBeside(Options)!.Prompt.IsPrefix);

        var modules = Bound.ToDictionary(module => module.Shape.Name);
        uint index = 0;
        bool augments = LowRankLinear.Augments(_model.Device, _model.DType);
        // Embedding and head may share memory, which must not move.
        SiblingLinears[] fixedLayers = [_model.Embedding.Siblings, _model.Head.Siblings];
        foreach (SiblingLinears siblings in _model.Adaptable.Select(linear => linear.Siblings).Distinct())
        {
            if (siblings.Layers.Any(layer => modules.ContainsKey(layer.Name)))
            {
                _packed.Add(new PackedAdapters(siblings, modules, _model.DType, Options.Dropout, index));
                _packed[^1].Attach(siblings);
                if (augments && !fixedLayers.Contains(siblings))
                    _packed[^1].Augment(siblings);
            }
            index++;
        }
        _model.Adapter = this;
    }

    /// <summary>
    /// Leaves the layout of augmented products, in which backward keeps the whole input of a layer.
    /// </summary>
    internal void KeepInputsApart()
    {
        foreach (PackedAdapters packed in _packed)
            packed.Reduce();
    }

    private void Refresh()
    {
        _prompt?.Refresh(_frozenChanged);
        foreach (AdaptedModule module in Bound)
            module.Core.Refresh(_frozenChanged);
        _frozenChanged = false;
        foreach (PackedAdapters packed in _packed)
            packed.Augmented?.Weight.Refresh();
        foreach (TrainedRows rows in _rows)
            rows.Refresh();
    }

    /// <summary>The modules, followed by the head if it follows the embedding.</summary>
    private IEnumerable<AdaptedModule> Bound => _head is null ? Layers : Layers.Append(_head);

    /// <summary>The modules that are layers of the model: all but a soft prompt.</summary>
    private IEnumerable<AdaptedModule> Layers => Method is PromptMethod ? [] : _modules;

    private void AddPenalties()
    {
        foreach (AdaptedModule module in Layers)
            module.Core.AddPenalty();
    }
}
