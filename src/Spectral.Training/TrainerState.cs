using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Distributed.Sharding;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;
using Spectral.Training.Optim;

namespace Spectral.Training;

/// <summary>
/// Everything that training needs to resume with the same bits, in one safetensors file: masters, the optimizer's state
/// (such as AdamW's moments) and count of updates, dropout's position, a moving average of the masters if the run keeps
/// one, frozen factors and those that only a schedule needs, and notes of the caller. All are F32 but the places of
/// entries and packed state, which are I32. An adapter's own files lack some of these. The file appears complete or not
/// at all, and replaces an older one by one rename.
/// </summary>
/// <remarks>
/// While the state is open, the file is mapped and must not be shortened. Replacing it by <see cref="Save"/> is
/// harmless.
/// </remarks>
/// <example>
/// <code>
/// AdapterMethod method = AdapterMethods.Find("lora");
/// AdapterOptions options = new() { Rank = 8 };
/// using var state = TrainerState.Open(statePath); // written by Trainer.Save
/// using var adapter = state.RestoreAdapter(model, method, options);
/// using Trainer trainer = new(model, new TrainerOptions { Steps = 1000 });
/// trainer.Restore(state);
/// TrainingResult result = trainer.Run(records); // the remaining steps
/// </code>
/// </example>
public sealed class TrainerState : IDisposable
{
    private const string Format = "spectral trainer state";
    private const string Version = "1";
    private const string Master = "master.";
    private const string Frozen = "frozen.";
    private const string Average = "average.";

    private readonly SafetensorsFile _file;
    private readonly Contents _contents;

    private TrainerState(SafetensorsFile file)
    {
        _file = file;
        if (file.Metadata.GetValueOrDefault("format") != Format)
            throw new InputException($"{Path}: no trainer state, expected one that a training run wrote");
        if (file.Metadata.GetValueOrDefault("version") is var version && version != Version)
        {
            throw new InputException(
                $"{Path}: a trainer state of version {InputText.Quote(version ?? "")}, expected version {Version}"
            );
        }

        _contents = Parse(file.Metadata.GetValueOrDefault("state") ?? "", StateJson.Default.Contents);
        if (_contents is { Step: < 0 } or { Updates: < 0 } || _contents.Layers is { Count: 0 })
        {
            throw new InputException(
                $"{Path}: step {_contents.Step} after {_contents.Updates} updates of "
                    + $"{_contents.Layers?.Count} layers, expected none below 0 and a layer"
            );
        }
    }

    /// <summary>The path of the file.</summary>
    public string Path => _file.Path;

    /// <summary>The number of steps made when the state was saved.</summary>
    public int Step => _contents.Step;

    /// <summary>The notes that the caller saved with the state, by name.</summary>
    public IReadOnlyDictionary<string, string> Notes => _contents.Notes;

    /// <summary>Opens a state. The file stays mapped until disposal.</summary>
    /// <exception cref="InputException">The file is missing, damaged, or of another version.</exception>
    public static TrainerState Open(string path)
    {
        var file = SafetensorsFile.Open(path);
        try
        {
            return new TrainerState(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Writes the state between two steps, when no gradient is pending. Waits for the device.</summary>
    /// <param name="path">The path of the file, which is replaced if it exists.</param>
    /// <param name="step">The number of steps made.</param>
    /// <param name="optimizer">The optimizer with its parameters.</param>
    /// <param name="adapter">The adapter; null if a model's own weights train.</param>
    /// <param name="notes">Further entries for <see cref="Notes"/>.</param>
    /// <param name="average">The moving average of the parameters; null: the run keeps none.</param>
    /// <exception cref="ArgumentException">The optimizer does not train the adapter's parameters.</exception>
    public static void Save(
        string path,
        int step,
        Optimizer optimizer,
        Adapter? adapter = null,
        IReadOnlyDictionary<string, string>? notes = null,
        WeightAverage? average = null
    )
    {
        ParameterSet parameters = Checked(optimizer, adapter);
        (ulong seed, ulong offset) = parameters.StepState.ReadDropout();
        var contents = new Contents(
            step,
            parameters.StepState.Read().Steps,
            seed,
            offset,
            adapter?.SavedLayers,
            notes ?? new Dictionary<string, string>(),
            optimizer.Method.Name
        );
        SafetensorsWriter.Write(
            path,
            [.. Tensors(optimizer, adapter, average).Select(part => part.ToWrite())],
            new Dictionary<string, string>
            {
                ["format"] = Format,
                ["version"] = Version,
                ["state"] = JsonSerializer.Serialize(contents, StateJson.Default.Contents),
            }
        );
    }

    /// <summary>
    /// Attaches the adapter of the saved run with the layers, ranks and values of the state. Nothing is computed, drawn
    /// or calibrated again. <see cref="Restore"/> then restores the optimizer.
    /// </summary>
    /// <param name="model">A model with frozen weights and no adapter.</param>
    /// <param name="method">The method of the saved run.</param>
    /// <param name="options">The options of the saved run.</param>
    /// <exception cref="InputException">
    /// The state belongs to another model, method or options; the message names the first difference.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The model's own weights train, or it already has an adapter.
    /// </exception>
    public Adapter RestoreAdapter(CausalLanguageModel model, AdapterMethod method, AdapterOptions options) =>
        Adapter.Restore(model, method, options, Path, _contents.Layers, Fill);

    /// <summary>
    /// Restores all values that <see cref="Save"/> stored and recomputes what derives from them. Nothing is changed
    /// unless everything fits.
    /// </summary>
    /// <param name="optimizer">An optimizer of the same parameters.</param>
    /// <param name="adapter">
    /// The adapter, if the run had one: from <see cref="RestoreAdapter"/>, or loaded from where the run started.
    /// </param>
    /// <param name="average">The moving average of the same parameters, if the run kept one.</param>
    /// <exception cref="InputException">
    /// The state is of another optimizer, or a tensor is missing, superfluous, or of another shape, so that the state
    /// is that of another run.
    /// </exception>
    /// <exception cref="ArgumentException">The optimizer does not train the adapter's parameters.</exception>
    public void Restore(Optimizer optimizer, Adapter? adapter = null, WeightAverage? average = null)
    {
        ParameterSet parameters = Checked(optimizer, adapter);
        if (_contents.Optimizer != optimizer.Method.Name)
        {
            throw new InputException(
                $"{Path}: the state of the optimizer {InputText.Quote(_contents.Optimizer)}, expected that of "
                    + optimizer.Method.Name
            );
        }

        Fill(Tensors(optimizer, adapter, average), all: true);
        if (average is not null)
            average.Updates = _contents.Updates;
        parameters.StepState.SetSteps(_contents.Updates);
        parameters.StepState.SeedDropout(_contents.DropoutSeed, _contents.DropoutOffset);
        if (adapter is null)
            parameters.NotifyChanged();
        else
            adapter.Renew();
    }

    /// <summary>Closes the file, which unmaps it.</summary>
    public void Dispose() => _file.Dispose();

    /// <summary>Fills in all factors of an adapter that is about to be attached.</summary>
    private void Fill(Adapter adapter) => Fill(Factors(adapter.Parameters, adapter), all: false);

    /// <summary>Reads a note that contains JSON.</summary>
    /// <param name="name">The name of the note.</param>
    /// <param name="type">The type of its contents.</param>
    /// <param name="defaults">The properties that older versions did not write, for objects in the note.</param>
    /// <exception cref="InputException">There is no such note, or it contains something else.</exception>
    internal T Note<T>(string name, JsonTypeInfo<T> type, JsonObject defaults) =>
        Notes.TryGetValue(name, out string? json)
            ? Parse(json, type, defaults)
            : throw new InputException($"{Path}: no note {name}, expected one that a training run wrote");

    private void Fill(IEnumerable<Part> parts, bool all)
    {
        var wanted = parts.ToList();
        foreach (Part part in wanted)
        {
            if (
                _file[part.Name] is var tensor
                && (tensor.Type != part.Stored || !tensor.Shape.SequenceEqual(part.Shape.Dimensions()))
            )
            {
                throw new InputException(
                    $"{Path}: {InputText.Quote(part.Name)} is {tensor.Type.HeaderName()} "
                        + $"{InputText.Shape([.. tensor.Shape])}, expected {part.Stored.HeaderName()} "
                        + $"{InputText.Shape(part.Shape.Dimensions())}"
                );
            }
        }

        if (all && _file.Tensors.Count > wanted.Count)
        {
            throw new InputException(
                $"{Path}: {InputText.Quote(_file.Tensors.Keys.Except(wanted.Select(part => part.Name)).First())} "
                    + "is no part of what trains here"
            );
        }

        foreach (Part part in wanted)
            part.Read(_file[part.Name]);
    }

    private T Parse<T>(string json, JsonTypeInfo<T> type, JsonObject? defaults = null)
    {
        try
        {
            return JsonDefaults.Deserialize(json, type, defaults ?? []) ?? throw new JsonException("it is null");
        }
        catch (JsonException error)
        {
            throw new InputException(
                $"{Path}: the trainer state in its header cannot be read: {error.Message.ReplaceLineEndings(" ")}",
                error
            );
        }
    }

    private static ParameterSet Checked(Optimizer optimizer, Adapter? adapter) =>
        adapter is null || adapter.Parameters == optimizer.Parameters
            ? optimizer.Parameters
            : throw new ArgumentException("the optimizer trains something else than the adapter", nameof(adapter));

    private static IEnumerable<Part> Tensors(Optimizer optimizer, Adapter? adapter, WeightAverage? average)
    {
        ParameterSet parameters = optimizer.Parameters;
        if (parameters.Shards is { } shards)
            return Units(shards, parameters, optimizer);
        IEnumerable<Part> averages = average is null
            ? []
            : parameters.Parameters.Select(
                (parameter, i) =>
                    new Part(Average + parameter.Name, parameter.Shape, () => parameters.PartOf(average.Values, i))
            );
        return Factors(parameters, adapter)
            .Concat(averages)
            .Concat(optimizer.States.Select(state => new Part(state.Name, state.Shape, state.Open, state.Type)));
    }

    /// <summary>Lists the tensors of which each rank has a part, in the order of their names on all ranks.</summary>
    private static IEnumerable<Part> Units(ShardedWeights shards, ParameterSet parameters, Optimizer optimizer) =>
        parameters
            .Parameters.Select(parameter => (Name: Master + parameter.Name, Open: (Func<Tensor>)parameter.Master.Share))
            .Concat(optimizer.States.Select(state => (state.Name, state.Open)))
            .Select(
                (tensor, i) =>
                {
                    ShardedUnit unit = shards.Units[i % shards.Units.Count];
                    return new Part(tensor.Name, unit.Length, () => shards.Whole(i))
                    {
                        Fill = saved => ShardedState.Read(unit, saved, tensor.Open()),
                    };
                }
            );

    private static IEnumerable<Part> Factors(ParameterSet parameters, Adapter? adapter) =>
        parameters
            .Parameters.Select(parameter => new Part(Master + parameter.Name, parameter.Shape, parameter.Master.Share))
            .Concat(
                (adapter?.Frozen ?? []).Select(parameter => new Part(
                    Frozen + parameter.Name,
                    parameter.Shape,
                    parameter.Master.Share,
                    parameter.Master.DType
                ))
            );

    /// <summary>A tensor of the state, accessed by a handle that is disposed after each use.</summary>
    private sealed record Part(string Name, Shape Shape, Func<Tensor> Open, DType Type = DType.F32)
    {
        /// <summary>Takes over the saved values; null: the tensor is written.</summary>
        public Action<SafetensorsTensor>? Fill { get; init; }

        public StoredType Stored { get; } =
            Type switch
            {
                DType.F32 => StoredType.F32,
                DType.BF16 => StoredType.BF16,
                DType.F64 => StoredType.F64,
                _ => StoredType.I32,
            };

        // Floats are checked: a state with a NaN could not be trained on.
        public TensorToWrite ToWrite() =>
            Type == DType.F32
                ? TensorToWrite.Floats(Name, Stored, Shape.Dimensions(), Floats)
                : new TensorToWrite(Name, Stored, Shape.Dimensions(), stream => stream.Write(Bytes()));

        public void Read(SafetensorsTensor saved)
        {
            if (Fill is not null)
            {
                Fill(saved);
                return;
            }

            using Tensor tensor = Open();
            if (Type == DType.F32)
                tensor.CopyFrom(saved.ToFloats());
            else
                tensor.CopyFrom(saved.Slice(0, checked((int)saved.Bytes)));
        }

        private float[] Floats()
        {
            using Tensor tensor = Open();
            return tensor.ToArray();
        }

        private byte[] Bytes()
        {
            using Tensor tensor = Open();
            byte[] bytes = new byte[tensor.Bytes];
            tensor.CopyTo(bytes);
            return bytes;
        }
    }

    /// <summary>The contents of the file's header beside the tensors.</summary>
    internal sealed record Contents(
        int Step,
        long Updates,
        ulong DropoutSeed,
        ulong DropoutOffset,
        IReadOnlyList<SavedLayer>? Layers,
        IReadOnlyDictionary<string, string> Notes,
        string Optimizer = OptimizerChoice.Default
    );
}
