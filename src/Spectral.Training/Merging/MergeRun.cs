using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>A merge as its method sees it: the inputs' weights, the options, and passes over the tensors.</summary>
internal sealed class MergeRun : IDisposable
{
    private readonly ModelFolder? _origin;
    private readonly MergeMethod _method;
    private readonly IReadOnlyList<MergeSource> _sources;
    private readonly Action<MergeProgress>? _progress;
    private readonly Dictionary<string, TensorPlace> _places;
    private readonly int _total;
    private readonly List<IDisposable> _owned = [];
    private int _done;

    /// <summary>Prepares the passes over the tensors, without reading values.</summary>
    /// <param name="model">The base.</param>
    /// <param name="origin">The model that the inputs were tuned from; null: the base.</param>
    /// <param name="method">The method of the merge.</param>
    /// <param name="sources">The opened inputs.</param>
    /// <param name="weights">The factor of each input.</param>
    /// <param name="options">The options as given.</param>
    /// <param name="device">The device for products and decompositions of matrices.</param>
    /// <param name="progress">Told of each tensor that is done; null: nobody.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    public MergeRun(
        ModelFolder model,
        ModelFolder? origin,
        MergeMethod method,
        IReadOnlyList<MergeSource> sources,
        IReadOnlyList<double> weights,
        MergeOptions options,
        Device device,
        Action<MergeProgress>? progress,
        CancellationToken cancellation
    )
    {
        (Model, _method, _sources, Weights, Options, Device) = (model, method, sources, weights, options, device);
        (_origin, _progress, Cancellation) = (origin, progress, cancellation);
        Parts = sources.Any(source => source.Parts);
        ResultConfig = Parts ? model.Config with { TieWordEmbeddings = false } : model.Config;
        _places = TensorPlace.Of(ResultConfig);
        Names = [.. model.TensorNames.Union(Parts ? [model.Config.HeadWeight] : []).Order(StringComparer.Ordinal)];
        Merged = [.. Names.Where(name => name == Original(name) && IsMerged(name))];
        _total = Names.Count + (method.Scans(this) * Merged.Count);
    }

    /// <summary>The model that all inputs were tuned from.</summary>
    public ModelFolder Model { get; }

    /// <summary>Whether head and embedding, tied in the base, differ with an input.</summary>
    public bool Parts { get; }

    /// <summary>The names of all tensors of the result.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The names of the tensors that go through the method.</summary>
    public IReadOnlyList<string> Merged { get; }

    /// <summary>The options as given.</summary>
    public MergeOptions Options { get; }

    /// <summary>Checked between the steps of a method.</summary>
    public CancellationToken Cancellation { get; }

    /// <summary>The device for products and decompositions of matrices.</summary>
    public Device Device { get; }

    /// <summary>The factor of each input; 1 where none is given.</summary>
    public IReadOnlyList<double> Weights { get; }

    /// <summary>The number of inputs.</summary>
    public int Inputs => _sources.Count;

    /// <summary>The number of values in all tensors that are merged.</summary>
    public long Count => Merged.Sum(name => Stored(name).Count);

    /// <summary>The base model's config.</summary>
    public ModelConfig Config => Model.Config;

    /// <summary>The config of the result and of the inputs, whose head and embedding may be untied.</summary>
    public ModelConfig ResultConfig { get; }

    /// <summary>The share of entries to keep.</summary>
    public double Density => Options.Density ?? _method.DefaultDensity;

    /// <summary>Returns the value of one of the method's settings.</summary>
    public double Setting(string name) => _method.ValueOf(name, Options.Settings);

    /// <summary>Returns whether a choice among the method's settings has a value.</summary>
    public bool Chose(string name, string value) =>
        _method.Settings.First(setting => setting.Name == name).Describe(Setting(name)) == value;

    /// <summary>Returns the value of one of the method's settings that are text; null: not given.</summary>
    public string? Text(string name) => Options.Texts.GetValueOrDefault(name);

    /// <summary>
    /// Returns whether a tensor goes through the method: the model uses it, it is in the chosen layers, and an input
    /// changes it. All others stay as in the base.
    /// </summary>
    public bool IsMerged(string name) =>
        _places.TryGetValue(Original(name), out TensorPlace place)
        && (Options.Layers is null || (place.Layer is { } layer && Options.Layers.Contains(layer)))
        && (_method.ChangesUntouched || _sources.Any(source => source.Changes(place.Name)));

    /// <summary>Returns whether the model uses a tensor; checkpoints may hold others, which are kept.</summary>
    public bool IsUsed(string name) => _places.ContainsKey(Original(name));

    /// <summary>Returns a tensor's place in the model.</summary>
    public TensorPlace Place(string name) => _places[Original(name)];

    /// <summary>Opens a tensor in the base and in all inputs.</summary>
    public MergeTensor Open(string name)
    {
        TensorPlace place = Place(name);
        return new MergeTensor(this, place, Stored(place.Name), _origin?.Untied(place.Name), _sources);
    }

    /// <summary>Reads all values of a tensor in one input, without computing it in the others.</summary>
    public float[] Values(string name, int input)
    {
        TensorPlace place = Place(name);
        MergeTensor alone = new(this, place, Stored(place.Name), _origin?.Untied(place.Name), [_sources[input]]);
        return alone.Values(0);
    }

    /// <summary>Reads all values of a tensor in the base.</summary>
    public float[] BaseValues(string name) => Stored(Place(name).Name).ToFloats();

    /// <summary>
    /// Returns the rank of each input's change of a tensor as low-rank terms, 0 of those that do not change it; null:
    /// an input's change has no such form.
    /// </summary>
    public int[]? Ranks(string name)
    {
        int?[] ranks = [.. _sources.Select(source => source.RankOf(Place(name).Name))];
        return Array.TrueForAll(ranks, rank => rank is not null) ? Array.ConvertAll(ranks, rank => rank!.Value) : null;
    }

    /// <summary>Computes the change L R of a tensor in one input: L [out, rank] and R [rank, in].</summary>
    public (float[] Left, float[] Right) Factors(string name, int input) => _sources[input].Factors(Place(name).Name);

    /// <summary>Returns whether a tensor in an input may differ from the base's.</summary>
    public bool Changes(string name, int input) => _sources[input].Changes(Place(name).Name);

    /// <summary>
    /// Reads the factors of a tensor's change in one input; null: the input is no plain LoRA of the tensor.
    /// </summary>
    public PlainFactors? PlainFactorsOf(string name, int input) => _sources[input].PlainFactorsOf(Place(name).Name);

    /// <summary>Loads an input as a frozen model in F32. The caller disposes it.</summary>
    public CausalLanguageModel Expert(int input) =>
        CausalLanguageModel.Of(ResultConfig, Device, trainWeights: false, name => Values(name, input));

    /// <summary>Returns the folder of an input, for messages.</summary>
    public string DirectoryOf(int input) => _sources[input].Directory;

    /// <summary>Disposes something when the merge has ended.</summary>
    public T Own<T>(T resource)
        where T : IDisposable
    {
        _owned.Add(resource);
        return resource;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (IDisposable resource in _owned)
            resource.Dispose();
    }

    /// <summary>Returns the base's tensor of a name.</summary>
    public SafetensorsTensor Stored(string name) => Parts ? Model.Untied(name) : Model[name];

    /// <summary>Reads all tensors that are merged, one after the other.</summary>
    public void Scan(Action<MergeTensor> measure)
    {
        foreach (string name in Merged)
        {
            measure(Open(name));
            Report(name);
        }
    }

    /// <summary>Reads the pieces of all tensors that are merged, for several inputs at once.</summary>
    /// <param name="visit">Takes a piece and the number of the input to read of it.</param>
    public void ScanChanges(Action<MergePiece, int> visit) =>
        Scan(tensor =>
            InParallel.For(
                Inputs,
                input =>
                {
                    foreach (MergePiece piece in tensor.Pieces())
                        visit(piece, input);
                }
            )
        );

    /// <summary>Counts a tensor as done.</summary>
    /// <exception cref="OperationCanceledException">The merge is to stop.</exception>
    public void Report(string name) => Report(new MergeProgress(++_done, _total, name));

    /// <summary>Tells how far a step of a method's own is.</summary>
    /// <exception cref="OperationCanceledException">The merge is to stop.</exception>
    public void Report(MergeProgress progress)
    {
        Cancellation.ThrowIfCancellationRequested();
        _progress?.Invoke(progress);
    }

    /// <summary>Returns the tensor that a tensor is a copy of: the embedding for a head that is tied to it.</summary>
    private string Original(string name) =>
        name == Config.HeadWeight && Config.TieWordEmbeddings && !Parts ? Config.Family.EmbeddingWeight : name;
}
