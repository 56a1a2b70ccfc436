using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>An adapter attached to a model: frozen base weights plus a small trainable change per target layer.</summary>
public sealed class Adapter : IDisposable
{
    private readonly CausalLanguageModel _model;
    private readonly AdaptedModule[] _modules;
    private readonly BoundFactors _factors;
    private readonly List<AdapterGroup> _groups = [];
    private readonly List<TrainedRows> _rows = [];
    private string? _baseModel;
    private readonly bool _headFollows;
    private readonly AdaptedModule? _head;
    private bool _frozenChanged;
    private Dictionary<string, string>? _baseDigests;

    private Adapter(
        CausalLanguageModel model,
        AdapterMethod method,
        AdapterOptions options,
        IReadOnlyList<AdaptedModule> modules,
        IReadOnlyList<SavedTensor> saved)
    {
        (_model, Method, Options, _modules) = (model, method, options, [.. modules]);
        // A folder is found again from anywhere only by its full path.
        _baseModel = model.Path is null ? null : Path.GetFullPath(model.Path);
        _headFollows = TiedHead.Follows(model.Config, options, saved, modules);
        if (_headFollows)
            _head = modules.FirstOrDefault(module => module.Shape.IsEmbedding)?.For(ModelTensors.HeadModule);
        _factors = new BoundFactors(model.Device, modules, saved, model.DType);
        Parameters.Changed += Refresh;
        Parameters.Accumulated += AddPenalties;
    }

    /// <summary>How the weights are changed.</summary>
    public AdapterMethod Method { get; }

    /// <summary>The settings it was made with.</summary>
    public AdapterOptions Options { get; }

    /// <summary>The adapted layers, in model order.</summary>
    public IReadOnlyList<AdaptedModule> Modules => _modules;

    /// <summary>
    /// The weights of the model that train whole beside the factors, named as in it (<see
    /// cref="AdapterOptions.ModulesToSave"/>): F32 masters, and values in the compute type that the model computes with
    /// in place of its own.
    /// </summary>
    public IEnumerable<Parameter> WholeWeights =>
        _factors.Saved.Where(pair => pair.Key.Trains).Select(pair => pair.Value);

    /// <summary>Whether the model ties its head to the embedding, and one of them changes under the adapter alone.</summary>
    public bool PartsTiedHead =>
        _model.Config.TieWordEmbeddings && !_headFollows && TiedHead.IsTouched(_factors.Saved.Keys, _modules);

    /// <summary>What trains.</summary>
    public ParameterGroup Parameters => _factors.Trained;

    /// <summary>All that does not: stored factors and what only a schedule keeps.</summary>
    internal IReadOnlyList<Parameter> Frozen => _factors.Frozen;

    /// <summary>Number of trainable scalars.</summary>
    public long TrainableCount => Parameters.Count;

    /// <summary>Makes a fresh adapter and attaches it; the model's output does not change yet if the method <see cref="AdapterMethod.StartsAtBase"/>.</summary>
    /// <param name="model">A model with frozen weights and no adapter.</param>
    /// <param name="method">The method.</param>
    /// <param name="options">Rank, targets, seed and so on.</param>
    /// <param name="calibration">The model on data, for a method that starts from it (<see cref="AdapterMethod.StartsFromData"/>); only read during the call.</param>
    /// <exception cref="InputException">
    /// A target matches no layer, or an option does not suit one; the message says what there is. Or the method starts from data and there is none.
    /// Or the files of the method have no place for an option.
    /// </exception>
    /// <exception cref="InvalidOperationException">The model's own weights train, or it has an adapter already.</exception>
    public static Adapter Attach(CausalLanguageModel model, AdapterMethod method, AdapterOptions options, ICalibration? calibration = null)
    {
        options.CheckSettings(method);
        options = AdapterTargets.Resolved(model.Adaptable, options);
        RequireFrozen(model);
        if (method.StartsFromData && calibration is null)
            throw new InputException($"{method.Name} starts from data: expected calibration records");
        TiedHead.Check(model.Config, options);
        var targets = AdapterTargets.Choose(model.Adaptable, linear => linear.Name, options);
        if (method.StartsFromData
            && targets.FirstOrDefault(linear => linear == model.Embedding || linear == model.Head) is { } unseen)
            throw new InputException($"{method.Name} starts from data, which it does not see at {unseen.Name}; "
                + "expected targets without it");
        var settings = method.Distribute([.. targets.Select(linear => linear.ModuleShape)], options, calibration);
        Linear[] linears = [.. targets.Where((_, i) => settings[i] is not null)];
        if (linears.Length < targets.Length)
            options = options with { TargetModules = [.. linears.Select(linear => linear.Name)] };
        var modules = AdaptedModule.Describe(method, [.. linears.Select(linear => linear.ModuleShape).Zip(settings.OfType<AdapterOptions>())]);
        KeptOptions.Require(AdapterConfig.Of(method, options, modules), modules, model.Adaptable.Select(linear => linear.Name));
        var saved = Saved(model, options, modules);
        return Build(model, method, options, modules, saved, adapter => adapter.Begin(linears, calibration));
    }

    /// <summary>Attaches an adapter from a folder in PEFT layout, trainable from where it was saved.</summary>
    /// <exception cref="InputException">The folder is no adapter we know, or it was made for another model; the message names the tensor.</exception>
    /// <param name="model">A model with frozen weights and no adapter.</param>
    /// <param name="directory">The folder.</param>
    /// <param name="learningRateRatio"><see cref="AdapterOptions.LearningRateRatio"/>, to train it further: the file does not say.</param>
    /// <exception cref="InvalidOperationException">The model's own weights train, or it has an adapter already.</exception>
    public static Adapter Load(CausalLanguageModel model, string directory, double learningRateRatio = 1)
    {
        using var folder = model.Path is null ? null : ModelFolder.Open(model.Path);
        using var reader = folder is null ? new AdapterReader(directory, model.Config, learningRateRatio) : new AdapterReader(directory, folder, learningRateRatio);
        return Build(model, reader.Method, reader.Options, reader.Modules, reader.Saved, adapter =>
        {
            adapter._baseModel = reader.BaseModel ?? adapter._baseModel;
            reader.Fill(adapter.Modules, module =>
                model.Adaptable.First(linear => linear.Name == module.Shape.Name).Weight.Value);
            foreach (var (tensor, parameter) in adapter._factors.Saved)
                parameter.Master.CopyFrom(reader.Stored(tensor).ToFloats());
        });
    }

    /// <summary>
    /// Attaches the adapter of a saved run as it was then: its layers, ranks and values are those of the state, and nothing is computed, drawn or
    /// calibrated anew. <see cref="TrainerState.Restore"/> brings back what the optimizer knows.
    /// </summary>
    /// <param name="model">A model with frozen weights and no adapter.</param>
    /// <param name="method">The method of the saved run.</param>
    /// <param name="options">Its options.</param>
    /// <param name="state">The state.</param>
    /// <exception cref="InputException">The state is of another model, method or options; the message names the first thing that does not fit.</exception>
    /// <exception cref="InvalidOperationException">The model's own weights train, or it has an adapter already.</exception>
    public static Adapter Restore(CausalLanguageModel model, AdapterMethod method, AdapterOptions options, TrainerState state)
    {
        options.CheckSettings(method);
        options = AdapterTargets.Resolved(model.Adaptable, options);
        var linears = model.Adaptable.ToDictionary(linear => linear.Name);
        var layers = state.Layers ?? throw new InputException($"{state.Path}: the state of a run without an adapter");
        if (layers.FirstOrDefault(layer => !linears.ContainsKey(layer.Name)) is { } unknown)
            throw new InputException($"{state.Path}: has a layer {InputText.Quote(unknown.Name)}, which the model has not");
        if (layers.Count < AdapterTargets.Choose(model.Adaptable, linear => linear.Name, options).Length)
            options = options with { TargetModules = [.. layers.Select(layer => layer.Name)] };
        ModuleShape[] shapes = [.. layers.Select(layer => linears[layer.Name].ModuleShape)];
        var modules = AdaptedModule.Describe(method, [.. shapes.Zip(layers, (shape, layer) =>
        {
            var settings = method.Fit(options.For(shape.Name), shape, shapes);
            return (shape, settings with { Rank = layer.Rank, Alpha = layer.Alpha });
        })]);
        return Build(model, method, options, modules, Saved(model, options, modules), state.Fill);
    }

    /// <summary>Checks that files can say all that the adapter is, as <see cref="Save"/> does: better known before training.</summary>
    /// <exception cref="InputException">They cannot; the message names the option.</exception>
    public void RequireSavable() => Describe();

    /// <summary>Writes <c>adapter_config.json</c> and <c>adapter_model.safetensors</c> (F32) into a folder, each atomically.</summary>
    /// <exception cref="InputException">They cannot say all that the adapter is, or a value is not finite.</exception>
    public void Save(string directory)
    {
        // PEFT's types carry no digests: its older versions refuse a config with keys they do not know.
        var config = Describe() with
        {
            BaseTensorSha256 = Method.PeftFields is null ? _baseDigests ??= BaseDigests() : new Dictionary<string, string>(),
        };
        var tensors = new Dictionary<string, TensorToWrite>();
        foreach (var module in _modules)
            foreach (var stored in module.Stored(lacksStart: false))
            {
                var name = stored.IsShared ? AdapterFolder.SharedKeyOf(stored.Name) : AdapterFolder.KeyOf(module.Shape.Name, stored.Name);
                tensors.TryAdd(name, TensorToWrite.Floats(name, StoredType.F32, stored.Shape.Dimensions(), stored.Read));
            }
        foreach (var (tensor, parameter) in _factors.Saved)
        {
            var name = tensor.KeyOf(isAdapted: _modules.Any(module => module.Shape.Name == tensor.Module));
            var shape = tensor.Shape.Dimensions();
            tensors.Add(name, TensorToWrite.Floats(name, StoredType.F32, shape, parameter.Master.ToArray));
        }
        AdapterFolder.Write(directory, config, [.. tensors.Values, .. Copies()]);
    }

    /// <summary>What PEFT stores of a head that follows the embedding.</summary>
    private IEnumerable<TensorToWrite> Copies()
    {
        if (_head is { Form.Terms: [var term] })
            return TiedHead.Copies(
                _head.Shape, term.Rank, StoredType.F32, term.Right.Value.ToArray, term.Left.Value.ToArray);
        return _factors.Saved
            .Where(pair => _headFollows && pair.Key is { Name: ModelTensors.Embedding, Tokens: null, Trains: true })
            .Select(pair => TiedHead.Copy(pair.Key, StoredType.F32, pair.Value.Master.ToArray));
    }

    /// <summary>
    /// To be called in a loop of one's own, when the gradients of a step are complete (<see cref="AdamWOptimizer.CompleteGradients"/>) and before the
    /// update, if the method <see cref="AdapterMethod.ActsBetweenSteps"/>. <see cref="Trainer"/> does so.
    /// </summary>
    /// <param name="step">The step, 1 to <paramref name="steps"/>.</param>
    /// <param name="steps">Steps of the whole run.</param>
    public void BeforeUpdate(int step, int steps) => Method.BeforeUpdate(this, step, steps);

    /// <summary>Likewise, to be called after the update.</summary>
    /// <inheritdoc cref="BeforeUpdate"/>
    public void AfterUpdate(int step, int steps)
    {
        if (Method.AfterUpdate(this, step, steps))
            Renew();
    }

    /// <summary>To be called after values of any factor were written: renews all that derives from them.</summary>
    internal void Renew()
    {
        _frozenChanged = true;
        Parameters.NotifyChanged();
    }

    /// <summary>Takes the adapter off the model, which then computes with its base weights again.</summary>
    public void Detach()
    {
        if (_model.Adapter != this)
            return;
        foreach (var group in _groups)
            group.Reduce();
        foreach (var linear in _model.Adaptable)
            (linear.Adapter, linear.Group.Adapter) = (null, null);
        foreach (var name in _factors.Saved.Keys.Select(tensor => tensor.Name).Append(ModelTensors.Head))
            _model.ParameterOf(name).StandIn = null;
        foreach (var rows in _rows)
            rows.Dispose();
        _rows.Clear();
        _model.Adapter = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Detach();
        foreach (var group in _groups)
            group.Dispose();
        _factors.Dispose();
    }

    private static Adapter Build(
        CausalLanguageModel model,
        AdapterMethod method,
        AdapterOptions options,
        IReadOnlyList<AdaptedModule> modules,
        IReadOnlyList<SavedTensor> saved,
        Action<Adapter> fill)
    {
        RequireFrozen(model);
        if (!(options.Dropout is >= 0 and < 1))
            throw new InputException($"dropout {options.Dropout}: expected 0 or more and below 1");
        var adapter = new Adapter(model, method, options, modules, saved);
        try
        {
            fill(adapter);
            adapter.Bind();
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    private static IReadOnlyList<SavedTensor> Saved(CausalLanguageModel model, AdapterOptions options, IReadOnlyList<AdaptedModule> modules) =>
    [
        .. SavedModules.Of(model.Config, options.ModulesToSave),
        .. SavedModules.OtherBiases(model.Config, options, modules),
        .. SavedRows.Of(model.Config, options),
    ];

    private static void RequireFrozen(CausalLanguageModel model)
    {
        if (model.Trainable is not null)
            throw new InvalidOperationException(model.Adapter is null
                ? "the model's own weights train; load it with frozen weights to adapt it"
                : "the model has an adapter already; detach it first");
    }

    /// <summary>Start values: what each factor says, then what the method computes, then copies of these.</summary>
    private void Begin(IReadOnlyList<Linear> linears, ICalibration? calibration)
    {
        foreach (var (module, linear) in _modules.Zip(linears))
            module.BindBase(linear);
        Fill(factor => !factor.Start.IsCopy);
        Method.Initialize([.. _modules.Zip(linears, (module, linear) =>
            new AdapterStart(module.Shape, linear.Weight.Value, module.Factors, module.Options) { Calibration = calibration! })]);
        Fill(factor => factor.Start.IsCopy);
        foreach (var (tensor, parameter) in _factors.Saved)
            CopyBase(tensor, parameter.Master);
    }

    private void CopyBase(SavedTensor tensor, Tensor values)
    {
        var weight = _model.ParameterOf(tensor.Name).Value;
        if (tensor.Tokens is null)
        {
            Cast.Run(weight, values);
            return;
        }
        using var index = Tensor.From(_model.Device, [.. tensor.Tokens], tensor.Tokens.Count);
        using var rows = Tensor.Empty(_model.Device, values.Shape, weight.DType);
        Rows.Gather(weight, index, rows);
        Cast.Run(rows, values);
    }

    private void Fill(Func<Factor, bool> which)
    {
        foreach (var module in _modules)
            foreach (var factor in module.AllFactors.Where(which))
                factor.Start.Fill(factor.Parameter.Master, module.Options.Seed, RandomStream.For(module.FullName(factor)));
    }

    /// <summary>What the files say, but for digests of the base; checked to be all that the adapter is.</summary>
    private AdapterConfig Describe()
    {
        var config = AdapterConfig.Of(Method, Options, _modules) with { BaseModel = _baseModel };
        KeptOptions.Require(config, _modules, _model.Adaptable.Select(linear => linear.Name));
        return config;
    }

    private Dictionary<string, string> BaseDigests()
    {
        if (_model.Path is null)
            return [];
        using var folder = ModelFolder.Open(_model.Path);
        return _modules.Select(module => $"{module.Shape.Name}.weight").ToDictionary(name => name, folder.Sha256);
    }

    private void Bind()
    {
        foreach (var (tensor, parameter) in _factors.Saved.OrderBy(pair => pair.Key.Tokens is not null))
        {
            parameter.Refresh();
            var weight = _model.ParameterOf(tensor.Name);
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
            _model.ParameterOf(ModelTensors.Head).StandIn = _model.ParameterOf(ModelTensors.Embedding).StandIn;
        var modules = Bound.ToDictionary(module => module.Shape.Name);
        var (index, groups) = (0u, _model.Adaptable.Select(linear => linear.Group).Distinct());
        var augments = LowRankLinear.Augments(_model.Device, _model.DType);
        // Embedding and head may be one memory, which does not move.
        LinearGroup[] fixedGroups = [_model.Embedding.Group, _model.Head.Group];
        foreach (var group in groups)
        {
            if (group.Layers.Any(layer => modules.ContainsKey(layer.Name)))
            {
                _groups.Add(new AdapterGroup(group, modules, _model.DType, Options.Dropout, index));
                if (augments && !fixedGroups.Contains(group))
                    _groups[^1].Augment(group);
            }
            index++;
        }
        _model.Adapter = this;
    }

    private void Refresh()
    {
        foreach (var module in Bound)
            module.Core.Refresh(_frozenChanged);
        _frozenChanged = false;
        foreach (var group in _groups)
            group.Augmented?.Weight.Refresh();
        foreach (var rows in _rows)
            rows.Refresh();
    }

    /// <summary>The modules, and a head that follows the embedding.</summary>
    private IEnumerable<AdaptedModule> Bound => _head is null ? _modules : _modules.Append(_head);

    private void AddPenalties()
    {
        foreach (var module in _modules)
            module.Core.AddPenalty();
    }
}
