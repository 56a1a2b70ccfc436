using Spectral.Training.Adapters;
using Spectral.Training.Calibration;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Settings;

namespace Spectral.Training.Placement;

/// <summary>What a placement method works on: the layers to choose from, and the model to run.</summary>
internal sealed class PlacementRun
{
    private readonly PlacementMethod _method;
    private readonly PlacementData? _data;
    private readonly Dictionary<string, int> _depths;

    /// <exception cref="InputException">
    /// A target matches no layer or is outside of the decoder layers, the rank is below 1, or a setting is out of
    /// range.
    /// </exception>
    public PlacementRun(PlacementMethod method, ModelConfig config, PlacementOptions options, PlacementData? data)
    {
        (_method, Options, _data) = (method, options, data);
        if (method.RunsModel && data is null)
            throw new ArgumentException($"{method.Name} runs the model, expected data", nameof(data));
        if (options.Rank < 1)
            throw new InputException($"rank {options.Rank}: expected at least 1");
        GivenSettings.Require(method, options.Settings);
        Depth = config.Layers;
        _depths = Enumerable
            .Range(0, config.Layers)
            .SelectMany(layer => config.Family.Linears(config, layer).Select(linear => (linear.Name, layer)))
            .ToDictionary();
        Layers = AdapterTargets.Of(config, new AdapterOptions { TargetModules = options.TargetModules });
        if (Layers.FirstOrDefault(layer => !_depths.ContainsKey(layer.Name)) is { Name: { } outside })
            throw new InputException($"target {outside}: expected layers of the decoder blocks");
    }

    public PlacementOptions Options { get; }

    /// <summary>The layers to choose from, in model order.</summary>
    public IReadOnlyList<ModuleShape> Layers { get; }

    /// <summary>The number of decoder layers.</summary>
    public int Depth { get; }

    public IEnumerable<string> Names => Layers.Select(layer => layer.Name);

    /// <summary>The model to run.</summary>
    public CausalLanguageModel Model => _data!.Model;

    public IReadOnlyList<EncodedRecord> Records => _data!.Records;

    public IReadOnlyList<EncodedRecord> ValidationRecords => _data!.Validation ?? _data.Records;

    /// <summary>The number of records in a batch.</summary>
    public int Batch => _data!.Batch;

    /// <summary>Runs the model on the training records.</summary>
    public ModelCalibration Training => new(Model, Records, Batch);

    /// <summary>Runs the model on the validation records.</summary>
    public ModelCalibration Validation => new(Model, ValidationRecords, Batch);

    /// <summary>Receives a line for each finished part of long work.</summary>
    public Action<string> Report { get; init; } = _ => { };

    /// <summary>Checked within long work.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Returns the number of the decoder layer that a layer is in, from 0.</summary>
    public int DepthOf(ModuleShape layer) => _depths[layer.Name];

    /// <summary>Returns the value of one of the method's own settings.</summary>
    public double Setting(string name) => _method.ValueOf(name, Options.Settings);

    /// <summary>Returns a number of decoder layers that a setting gives; 0 stands for a share of the model.</summary>
    /// <param name="setting">The name of the setting.</param>
    /// <param name="share">The share.</param>
    /// <param name="least">The smallest number that the share may give, if the model has as many.</param>
    /// <exception cref="InputException">The model has fewer.</exception>
    public int LayersOf(string setting, double share, int least = 1)
    {
        int layers = (int)Setting(setting);
        if (layers == 0)
            return Math.Min(Math.Max((int)Math.Round(share * Depth), least), Depth);
        return layers <= Depth
            ? layers
            : throw new InputException($"setting {setting}={layers}: the model has {Depth} layers");
    }
}
