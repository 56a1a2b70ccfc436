using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Calibration;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters;

/// <content>Creates an adapter: fresh, from a folder, or from the state of a run.</content>
public sealed partial class Adapter
{
    /// <summary>
    /// Creates a fresh adapter and attaches it to a model. If the method <see cref="AdapterMethod.StartsAtBase"/>, the
    /// model's output is unchanged until training begins.
    /// </summary>
    /// <param name="model">A model with frozen weights and no adapter.</param>
    /// <param name="method">The method that adapts the layers.</param>
    /// <param name="options">Rank, targets, seed and so on.</param>
    /// <param name="calibration">
    /// Runs the model on data, for a method that <see cref="AdapterMethod.StartsFromData"/>. Used only during the call.
    /// </param>
    /// <exception cref="InputException">
    /// A target matches no layer (the message lists those there are), an option does not suit a layer, the method
    /// starts from data and <paramref name="calibration"/> is null, or the method's files cannot store an option.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The model's own weights train, or it already has an adapter.
    /// </exception>
    public static Adapter Attach(
        CausalLanguageModel model,
        AdapterMethod method,
        AdapterOptions options,
        ICalibration? calibration = null
    )
    {
        options.CheckSettings(method);
        if (method is PromptMethod)
        {
            IReadOnlyList<AdaptedModule> prompt = PromptOf(model, method, ref options);
            return Build(model, method, options, prompt, [], adapter => adapter.Begin([model.Embedding], null));
        }

        options = AdapterTargets.Resolved(model.Config, options);
        RequireFrozen(model);
        if (method.StartsFromData && calibration is null)
            throw new InputException($"{method.Name} starts from data: expected calibration records");
        TiedHead.Check(model.Config, options);
        Linear[] targets = AdapterTargets.Choose(model.Adaptable, linear => linear.Name, options);
        if (
            method.StartsFromData
            && targets.FirstOrDefault(linear => linear == model.Embedding || linear == model.Head) is { } unseen
        )
        {
            throw new InputException(
                $"{method.Name} starts from data, which it does not see at {unseen.Name}; expected targets without it"
            );
        }

        IReadOnlyList<AdapterOptions?> settings = method.Distribute(
            [.. targets.Select(ModuleShape.Of)],
            options,
            calibration
        );
        Linear[] linears = [.. targets.Where((_, i) => settings[i] is not null)];
        if (linears.Length < targets.Length)
            options = options with { TargetModules = [.. linears.Select(linear => linear.Name)] };
        IReadOnlyList<AdaptedModule> modules = AdaptedModule.Describe(
            method,
            [.. linears.Select(ModuleShape.Of).Zip(settings.OfType<AdapterOptions>())]
        );
        KeptOptions.Require(
            AdapterConfig.Of(method, options, modules),
            modules,
            model.Adaptable.Select(linear => linear.Name)
        );
        IReadOnlyList<SavedTensor> saved = Saved(model, options, modules);
        return Build(model, method, options, modules, saved, adapter => adapter.Begin(linears, calibration));
    }

    /// <summary>Attaches an adapter from a folder in PEFT layout. It can be trained further.</summary>
    /// <exception cref="InputException">
    /// The folder holds no adapter of a known kind, or one made for another model; the message names the tensor.
    /// </exception>
    /// <param name="model">A model with frozen weights and no adapter.</param>
    /// <param name="directory">The adapter's folder.</param>
    /// <param name="learningRateRatio">
    /// The <see cref="AdapterOptions.LearningRateRatio"/> for further training. Files do not store it.
    /// </param>
    /// <exception cref="InvalidOperationException">
    /// The model's own weights train, or it already has an adapter.
    /// </exception>
    public static Adapter Load(CausalLanguageModel model, string directory, double learningRateRatio = 1)
    {
        RequireFrozen(model);
        Adapter adapter = Read(model, directory, learningRateRatio);
        return Checked(adapter, adapter.Bind);
    }

    /// <summary>Reads an adapter from a folder for a model without attaching it.</summary>
    /// <inheritdoc cref="Load"/>
    internal static Adapter Read(CausalLanguageModel model, string directory, double learningRateRatio = 1)
    {
        using ModelFolder? folder = model.Path is null
            ? null
            : ModelFolder.Open(model.Path, quantization: model.Quantization);
        using var reader = AdapterReader.OfAny(directory, model.Config, folder, learningRateRatio);
        return Filled(
            model,
            reader.Method,
            reader.Options,
            reader.Modules,
            reader.Saved,
            adapter =>
            {
                adapter._baseModel = reader.BaseModel ?? adapter._baseModel;
                reader.Fill(
                    adapter.Modules,
                    module => model.Adaptable.First(linear => linear.Name == module.Shape.Name).Weight
                );
                reader.SoftPrompt?.Fill([adapter._beside!], _ => model.Embedding.Weight);
                foreach ((SavedTensor tensor, Optim.Parameter parameter) in adapter._factors.Saved)
                    parameter.Master.CopyFrom(reader.Stored(tensor).ToFloats());
            }
        );
    }

    /// <summary>
    /// Attaches the adapter of a saved run with the layers, ranks and values that were saved. Nothing is computed,
    /// drawn or calibrated again.
    /// </summary>
    /// <param name="model">A model with frozen weights and no adapter.</param>
    /// <param name="method">The method of the saved run.</param>
    /// <param name="options">The options of the saved run.</param>
    /// <param name="source">The path of the saved run, for messages.</param>
    /// <param name="layers">The adapted layers in model order; null where the run had no adapter.</param>
    /// <param name="fill">Writes the values of all factors.</param>
    /// <exception cref="InputException">
    /// The layers are not those of this model, or the method or the options do not fit.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The model's own weights train, or it already has an adapter.
    /// </exception>
    internal static Adapter Restore(
        CausalLanguageModel model,
        AdapterMethod method,
        AdapterOptions options,
        string source,
        IReadOnlyList<SavedLayer>? layers,
        Action<Adapter> fill
    )
    {
        options.CheckSettings(method);
        if (method is PromptMethod)
        {
            IReadOnlyList<AdaptedModule> prompt = PromptOf(model, method, ref options);
            return layers is [{ Name: PromptMethod.Module }]
                ? Build(model, method, options, prompt, [], fill)
                : throw new InputException($"{source}: the state of a run without a soft prompt");
        }

        options = AdapterTargets.Resolved(model.Config, options);
        var linears = model.Adaptable.ToDictionary(linear => linear.Name);
        if (layers is null)
            throw new InputException($"{source}: the state of a run without an adapter");
        if (layers.FirstOrDefault(layer => !linears.ContainsKey(layer.Name)) is { } unknown)
        {
            throw new InputException(
                $"{source}: has a layer {InputText.Quote(unknown.Name)}, which the model does not have"
            );
        }

        if (layers.Count < AdapterTargets.Choose(model.Adaptable, linear => linear.Name, options).Length)
            options = options with { TargetModules = [.. layers.Select(layer => layer.Name)] };
        ModuleShape[] shapes = [.. layers.Select(layer => ModuleShape.Of(linears[layer.Name]))];
        IReadOnlyList<AdaptedModule> modules = AdaptedModule.Describe(
            method,
            [
                .. shapes.Zip(
                    layers,
                    (shape, layer) =>
                    {
                        AdapterOptions settings = method.Fit(options.For(shape.Name), shape, shapes);
                        settings = settings with { Rank = layer.Rank, Alpha = layer.Alpha };
                        return (shape, layer.Settings is { } own ? settings with { Settings = own } : settings);
                    }
                ),
            ]
        );
        Adapter restored = Build(model, method, options, modules, Saved(model, options, modules), fill);
        restored._keptEntries = layers.Any(layer => layer.Settings is not null);
        return restored;
    }

    /// <summary>Describes the only module of a soft prompt, and checks that files can hold its settings.</summary>
    private static IReadOnlyList<AdaptedModule> PromptOf(
        CausalLanguageModel model,
        AdapterMethod method,
        ref AdapterOptions options
    )
    {
        IReadOnlyList<ModuleShape> shapes = AdapterTargets.Of(model.Config, method, options);
        options = options with { TargetModules = [PromptMethod.Module] };
        IReadOnlyList<AdaptedModule> modules = AdaptedModule.Describe(method, options, shapes);
        KeptOptions.Require(AdapterConfig.Of(method, options, modules), modules, []);
        return modules;
    }

    private static Adapter Build(
        CausalLanguageModel model,
        AdapterMethod method,
        AdapterOptions options,
        IReadOnlyList<AdaptedModule> modules,
        IReadOnlyList<SavedTensor> saved,
        Action<Adapter> fill
    )
    {
        RequireFrozen(model);
        Adapter adapter = Filled(model, method, options, modules, saved, fill);
        return Checked(adapter, adapter.Bind);
    }

    /// <summary>Creates an adapter with its values, which is not attached to the model yet.</summary>
    private static Adapter Filled(
        CausalLanguageModel model,
        AdapterMethod method,
        AdapterOptions options,
        IReadOnlyList<AdaptedModule> modules,
        IReadOnlyList<SavedTensor> saved,
        Action<Adapter> fill
    )
    {
        if (!(options.Dropout is >= 0 and < 1))
            throw new InputException($"dropout {options.Dropout}: expected 0 or more and below 1");
        options = options with { FanInFanOut = ModelTensors.Transposed(model.Config).Count > 0 };
        var adapter = new Adapter(model, method, options, modules, saved);
        return Checked(adapter, () => fill(adapter));
    }

    /// <summary>Returns the adapter after an action, which takes it with it where it fails.</summary>
    private static Adapter Checked(Adapter adapter, Action action)
    {
        try
        {
            action();
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    private static IReadOnlyList<SavedTensor> Saved(
        CausalLanguageModel model,
        AdapterOptions options,
        IReadOnlyList<AdaptedModule> modules
    ) =>
        [
            .. SavedModules.Of(model.Config, options.ModulesToSave),
            .. SavedModules.OtherBiases(model.Config, options, modules),
            .. SavedRows.Of(model.Config, options),
        ];

    /// <exception cref="InvalidOperationException">
    /// The model's own weights train, or it has adapters already.
    /// </exception>
    internal static void RequireFrozen(CausalLanguageModel model)
    {
        if (model.Adapter is not null)
            throw new InvalidOperationException("the model has an adapter already; detach it first");
        if (model.Trainable is not null)
        {
            throw new InvalidOperationException(
                "the model's own weights train; load it with frozen weights to adapt it"
            );
        }
    }

    /// <summary>
    /// Fills in start values in three passes: the start of each factor, what the method computes, and factors that copy
    /// one of these.
    /// </summary>
    /// <param name="linears">The layer of each module; of a soft prompt, the embedding.</param>
    /// <param name="calibration">Runs the model on data; null unless the method starts from data.</param>
    private void Begin(IReadOnlyList<Linear> linears, ICalibration? calibration)
    {
        using ModelFolder? originals = Method.RequantizesBase ? RequantizedBase.Open(_model, Method) : null;
        foreach ((AdaptedModule module, Linear linear) in _modules.Zip(linears))
            module.BindBase(linear);
        Fill(factor => !factor.Start.IsCopy);
        Method.BeginAll([.. _modules.Zip(linears, StartOf)]);
        if (_beside is not null)
            Method.PromptBeside(Options)!.Method.BeginAll([StartOf(_beside, _model.Embedding)]);
        Fill(factor => factor.Start.IsCopy);
        foreach ((SavedTensor tensor, Optim.Parameter parameter) in _factors.Saved)
            CopyBase(tensor, parameter.Master);

        AdapterStart StartOf(AdaptedModule module, Linear linear) =>
            new(module.Shape, linear.Weight, module.Factors, module.Options)
            {
                Calibration = calibration!,
                TokenScale = _model.TokenScale,
                Original = Method.RequantizesBase ? RequantizedBase.Original(_model, originals, linear) : null!,
            };
    }

    private void CopyBase(SavedTensor tensor, Tensor values)
    {
        using Tensor weight = _model.ParameterOf(tensor.Name).Dense();
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
        foreach (AdaptedModule module in _beside is null ? _modules : _modules.Append(_beside))
        {
            foreach (Factor factor in module.AllFactors.Where(which))
            {
                factor.Start.Fill(
                    factor.Parameter.Master,
                    module.Options.Seed,
                    RandomStream.For(module.FullName(factor))
                );
            }
        }
    }
}
