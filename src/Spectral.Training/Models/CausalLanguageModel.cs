using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;
using Spectral.Training.Distributed;
using Spectral.Training.Distributed.Sharding;
using Spectral.Training.IO;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;

namespace Spectral.Training.Models;

/// <summary>
/// A model of one of the known families on one device: a decoder that predicts tokens, or a decoder or encoder with a
/// head that gives classes or a number (<see cref="ModelConfig.Classifier"/>).
/// </summary>
/// <remarks>
/// A loss row is a position with a target. Of a model that predicts tokens the target is the next token, of one with a
/// head for classes it is a class, so that both train and are adapted in the same way.
/// Weights are in the compute type and frozen, unless the model was loaded for training; then each has an F32 master.
/// The forward pass is written against a <see cref="Tape"/>, which records for training and does not record for
/// inference.
/// </remarks>
/// <example>
/// <code>
/// using var folder = ModelFolder.Open(modelPath);
/// using var model = CausalLanguageModel.Load(folder, device, DType.F32);
/// using BatchTensors batch = new(device, Batch.Create(records));
/// using Tape tape = new(device, records: false); // no backward pass follows
/// using Tensor sum = model.Loss(tape, batch, gradientScale: 1);
/// float mean = sum.ToArray()[0] / batch.Source.LossTokens;
/// </code>
/// </example>
public sealed class CausalLanguageModel : IDisposable
{
    private readonly ModelParameters _parameters;
    private readonly Parameter _embedding;
    private readonly Norm? _finalNorm;
    private readonly Parameter? _positions;
    private readonly Parameter? _types;
    private readonly Norm? _embeddingNorm;
    private readonly Linear? _pooler;
    private readonly Parameter _head;
    private readonly DecoderLayer[] _layers;
    private readonly Dictionary<string, int> _layerOf;
    private readonly RotaryTables _rotary;

    private CausalLanguageModel(
        ModelConfig config,
        Device device,
        DType dtype,
        ModelParameters parameters,
        string? path
    )
    {
        (Config, Device, DType, _parameters, Path) = (config, device, dtype, parameters, path);
        ModelFamily family = config.Family;
        _embedding = parameters[family.EmbeddingWeight];
        _positions = family.PositionsWeight is { } positions ? parameters[positions] : null;
        _types = family.TokenTypesWeight is { } types ? parameters[types] : null;
        _embeddingNorm = family.EmbeddingNorm(config) is { } first ? parameters.CreateNorm(config, first) : null;
        _finalNorm = family.LastNorm(config) is { } last ? parameters.CreateNorm(config, last) : null;
        _pooler = config.Pooler is { } pooler ? parameters.CreateLinear(pooler) : null;
        // A tied head that trains is the same parameter. A frozen one only shares the memory, so that an adapter can
        // change one of the two.
        _head = (config.TieWordEmbeddings, parameters.Trained) switch
        {
            (false, _) => parameters[config.HeadWeight],
            (true, { }) => _embedding,
            _ => _embedding.SharedAs(config.HeadWeight),
        };
        _rotary = new RotaryTables(device, config);
        _layers = new DecoderLayer[config.Layers];
        for (int i = 0; i < _layers.Length; i++)
            _layers[i] = family.CreateLayer(config, i, parameters);
        _layerOf = ModelTensors.LayersOfModules(config);
        Linears = [.. _layers.SelectMany(layer => layer.Linears)];
        Embedding = new Linear(family.Embedding, _embedding, null);
        Head = new Linear(config.Head.Name, _head, config.Head.HasBias ? parameters[config.Head.Bias] : null);
        Adaptable = [.. Linears, .. _pooler is null ? [] : new[] { _pooler }, Embedding, Head];
    }

    /// <summary>The sizes and options of the model, from config.json.</summary>
    public ModelConfig Config { get; }

    /// <summary>The device of the weights.</summary>
    public Device Device { get; }

    /// <summary>The compute type of weights and activations.</summary>
    public DType DType { get; }

    /// <summary>The folder from which the weights were loaded; null for a freshly initialised model.</summary>
    public string? Path { get; }

    /// <summary>
    /// The form in which the linear layers are kept because they were quantised on loading; null: they were not.
    /// </summary>
    internal BaseQuantization? Quantization { get; private init; }

    /// <summary>The form of its linear layers (<see cref="ModelFolder.WeightForm"/>); null: it has no folder.</summary>
    internal string? WeightForm { get; private init; }

    /// <summary>The linear layers of all blocks, in checkpoint order.</summary>
    public IReadOnlyList<Linear> Linears { get; }

    /// <summary>
    /// All layers to which an adapter can be attached: <see cref="Linears"/>, a layer before the output layer of a head
    /// for classes, <see cref="Embedding"/>, <see cref="Head"/>.
    /// </summary>
    public IReadOnlyList<Linear> Adaptable { get; }

    /// <summary>
    /// The token embedding [V, D], presented to adapters as a layer with V outputs. Its rows are looked up.
    /// </summary>
    public Linear Embedding { get; }

    /// <summary>The output head: [V, D] for tokens, [labels, D] for classes.</summary>
    public Linear Head { get; }

    /// <summary>The number of weights, without adapters.</summary>
    public long ParameterCount => _parameters.All.Sum(parameter => parameter.Shape.Count);

    /// <summary>
    /// The device memory of the weights, without adapters, in bytes; of this rank's parts, if each rank keeps one.
    /// </summary>
    public long Bytes => _parameters.All.Sum(parameter => parameter.Bytes);

    /// <summary>
    /// The most bytes of weights that were on the device at a time: this rank's parts and what was gathered of others.
    /// Null: the rank has the whole model.
    /// </summary>
    public long? PeakShardBytes => Shards?.PeakBytes;

    /// <summary>What gathers the weights from all ranks; null: all of them are here.</summary>
    internal ShardedWeights? Shards => _parameters.Shards;

    /// <summary>The factor on the embedding of a token that is none on virtual tokens; 1: there is none.</summary>
    internal float TokenScale
    {
        get
        {
            float factor = Config.Family.ScalesOnlyTokens ? (float)Config.EmbeddingMultiplier : 1;
            return DType == DType.BF16 ? BFloat16.Round(factor) : factor;
        }
    }

    /// <summary>The soft cap of the logits; 0: none.</summary>
    private float SoftCap => (float)Config.LogitSoftCap;

    /// <summary>The attached adapter, or null.</summary>
    internal IModelAdapter? Adapter { get; set; }

    /// <summary>
    /// Receives the hidden states [B·S, D] after each decoder layer, with its number; usually null. Recomputation of
    /// activations does not call it again. Rows of embedded virtual tokens are among them.
    /// </summary>
    internal Action<int, Tensor>? AfterLayer { get; set; }

    /// <summary>
    /// The parameters that an optimizer updates: those of the attached adapter, or all weights if they were loaded for
    /// training; otherwise null.
    /// </summary>
    public ParameterSet? Trainable => Adapter?.Parameters ?? _parameters.Trained;

    /// <summary>
    /// The directions that are taken out of hidden states whenever a tape records; null: none. The caller disposes it.
    /// </summary>
    public DirectionAblation? Ablation { get; set; }

    /// <summary>Loads a model from a checkpoint.</summary>
    /// <param name="folder">An open and validated model folder. It is only read, during the call.</param>
    /// <param name="device">The device for the weights.</param>
    /// <param name="dtype">The compute type, F32 or BF16.</param>
    /// <param name="trainWeights">
    /// Whether all weights train, with F32 masters; otherwise they are frozen, and linear layers are quantised where
    /// the folder says so (<see cref="ModelFolder.Quantization"/>).
    /// </param>
    /// <param name="shards">
    /// The processes that each keep a part of every weight and gather a layer when it is used; all of them load the
    /// model and compute with it. Null: this one has the whole model.
    /// </param>
    public static CausalLanguageModel Load(
        ModelFolder folder,
        Device device,
        DType dtype,
        bool trainWeights = false,
        RankGroup? shards = null
    )
    {
        ModelParameters parameters = shards is { Count: > 1 }
            ? ShardedParameters.Load(folder, device, dtype, trainWeights, shards)
            : ModelParameters.Load(folder, device, dtype, trainWeights);
        return new CausalLanguageModel(folder.Config, device, dtype, parameters, folder.Directory)
        {
            Quantization = trainWeights ? null : folder.Quantization,
            WeightForm = trainWeights ? null : folder.WeightForm,
        };
    }

    /// <summary>Creates a model with F32 weights that are asked for by name, one tensor at a time.</summary>
    /// <param name="config">The sizes and options of the model.</param>
    /// <param name="device">The device for the weights and for computing, in F32.</param>
    /// <param name="trainWeights">Whether all weights train; otherwise they are frozen.</param>
    /// <param name="values">Returns the values of each tensor of <see cref="ModelTensors.For"/>.</param>
    internal static CausalLanguageModel Of(
        ModelConfig config,
        Device device,
        bool trainWeights,
        Func<string, float[]> values
    )
    {
        var parameters = ModelParameters.Of(config, device, DType.F32, trainWeights, values);
        return new CausalLanguageModel(config, device, DType.F32, parameters, null);
    }

    /// <summary>
    /// Creates a model whose weights have the values of fresh memory, for a device that computes nothing
    /// (<see cref="Device.Rehearse"/>).
    /// </summary>
    /// <param name="config">The sizes and options of the model.</param>
    /// <param name="device">The device for the weights.</param>
    /// <param name="dtype">The compute type, F32 or BF16.</param>
    /// <param name="trainWeights">Whether all weights train; otherwise they are frozen.</param>
    /// <param name="quantization">The form in which frozen linear layers are kept; null: in the compute type.</param>
    /// <param name="shards">The ranks that each keep a part of every weight; null: this one has all.</param>
    internal static CausalLanguageModel Unset(
        ModelConfig config,
        Device device,
        DType dtype,
        bool trainWeights = false,
        BaseQuantization? quantization = null,
        RankGroup? shards = null
    )
    {
        ModelParameters parameters = shards is { Count: > 1 }
            ? ShardedParameters.Unset(config, device, dtype, trainWeights, quantization, shards)
            : ModelParameters.Unset(config, device, dtype, trainWeights, quantization);
        return new CausalLanguageModel(config, device, dtype, parameters, null)
        {
            Quantization = trainWeights ? null : quantization,
        };
    }

    /// <summary>
    /// Creates a model with random weights: N(0, 0.02²) for matrices, ones for norms, zeros for biases.
    /// </summary>
    /// <param name="config">The sizes and options of the model.</param>
    /// <param name="device">The device for the weights.</param>
    /// <param name="dtype">The compute type, F32 or BF16.</param>
    /// <param name="seed">The seed. Each tensor has its own random stream, determined by its name.</param>
    /// <param name="trainWeights">
    /// Whether all weights train, with F32 masters; otherwise they are frozen, as for an adapter.
    /// </param>
    /// <param name="shards">
    /// The processes that each keep a part of every weight, which trains then; null: this one has the whole model.
    /// </param>
    public static CausalLanguageModel Initialize(
        ModelConfig config,
        Device device,
        DType dtype,
        ulong seed,
        bool trainWeights = true,
        RankGroup? shards = null
    )
    {
        ModelParameters parameters = shards is { Count: > 1 }
            ? ShardedParameters.Initialize(config, device, dtype, seed, shards)
            : ModelParameters.Initialize(config, device, dtype, seed, trainWeights);
        return new CausalLanguageModel(config, device, dtype, parameters, null);
    }

    /// <summary>Computes the hidden states before the final norm, [B·S, D], without those of virtual tokens.</summary>
    /// <param name="tape">The tape that records the operations.</param>
    /// <param name="batch">The tokens, padded on the right.</param>
    /// <param name="checkpoint">Whether to keep only each layer's input and recompute the rest during backward.</param>
    /// <param name="cache">
    /// A cache to which keys and values are appended: first rows without padding, then one token per row and call.
    /// Null: none.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The rows, with virtual tokens before them, are longer than the model's positions.
    /// </exception>
    /// <exception cref="InputException">A token has no row in the embedding.</exception>
    public Variable Hidden(Tape tape, BatchTensors batch, bool checkpoint = false, KeyValueCache? cache = null) =>
        States(tape, batch, checkpoint, cache, balance: null);

    /// <summary>Does the same, with the loss that balances the load of experts; null: none.</summary>
    private Variable States(
        Tape tape,
        BatchTensors batch,
        bool checkpoint,
        KeyValueCache? cache,
        RouterBalance? balance
    )
    {
        batch.Source.CheckIds(Config.VocabularySize);
        Adapter?.Begin(batch.Source, cache);
        // A cache that is filled has the virtual tokens in it.
        IVirtualTokens? tokens = cache is { Length: > 0 } ? null : Adapter?.VirtualTokens;
        int before = tokens?.Values.Dim(0) ?? 0;
        (int rows, int length) = (batch.Source.Rows, before + batch.Source.Length);
        if (batch.Spans is not null && (tokens is not null || cache is not null))
        {
            throw new ArgumentException(
                "rows of several records with virtual tokens or a cache, expected rows of one record",
                nameof(batch)
            );
        }

        if (Config.Family.SeesAhead && batch.Spans is null)
        {
            throw new ArgumentException(
                "rows without spans, expected those of records with labels (EncodedRecord.Labels), or packed ones",
                nameof(batch)
            );
        }

        int reach = cache?.Capacity ?? (batch.Spans is null ? length : batch.Source.LongestRecord);
        if (reach > Config.LongestSequence)
        {
            throw new ArgumentException(
                $"{reach} positions asked for{(before > 0 ? $", {before} of them virtual tokens" : "")}; the model has "
                    + $"max_position_embeddings = {Config.LongestSequence}",
                nameof(batch)
            );
        }

        cache?.Begin(rows, length);
        bool isPrefix = tokens?.PrefixRotary is not null;
        RotaryTables rotary = tokens?.PrefixRotary ?? _rotary;
        Node? trained = tokens?.Record(tape);
        TokenOrder? order = tape.Records && Embedding.Trains ? batch.OrderFor(_embedding) : null;
        Variable x = Embedding.Adapter is null
            ? EmbeddingNode.Apply(tape, _embedding, batch.Tokens, order)
            : Embedding.Adapter.LookUp(tape, Embedding, batch.Tokens, order);
        x = ScaleNode.Apply(tape, x, TokenScale);
        tape.Noise?.Add(x.Value, batch.NoiseScalesFor(tape.Noise, Config.HiddenSize));
        if (tokens is not null && !isPrefix)
        {
            using Variable own = x;
            x = PrependNode.Apply(tape, tokens.Values, trained, own, rows);
        }
        x = ScaleNode.Apply(tape, x, Config.Family.ScalesOnlyTokens ? 1 : (float)Config.EmbeddingMultiplier);
        if (_positions is not null)
        {
            using Variable own = x;
            x = (batch.Spans, cache) switch
            {
                (null, { IsRagged: true }) => WithPlaces(tape, own, _positions, cache.Offsets, null),
                (null, _) => PositionNode.Apply(
                    tape,
                    own,
                    _positions,
                    rows,
                    (cache?.Length ?? 0) + (isPrefix ? before : 0)
                ),
                _ => WithPlaces(tape, own, _positions, batch.PlacesFrom(Config.FirstPosition), batch),
            };
        }
        x = Embedded(tape, x, batch);
        for (int i = 0; i < _layers.Length; i++)
        {
            (DecoderLayer layer, LayerCache? layerCache) = (_layers[i], cache?[i]);
            Tensor? ablated = tape.Records ? Ablation?.Of(i) : null;
            (RotaryTable queries, RotaryTable keys) = rotary.For(i, reach);
            var settings = new AttentionSettings(
                rows,
                length,
                Config.Heads,
                Config.KeyValueHeads,
                Config.HeadDimension,
                Config.WindowOf(i),
                queries,
                keys
            )
            {
                SoftCap = (float)Config.AttentionSoftCap,
                Prefix = isPrefix ? new KeyValuePrefix(tokens!.Values, trained, i) : null,
                Balance = balance,
                Spans = batch.Spans,
                SeesAhead = Config.Family.SeesAhead,
            };
            using Variable input = x;
            tape.Begin(i);
            x =
                checkpoint && tape.Records
                    ? CheckpointNode.Apply(
                        tape,
                        input,
                        layer.NeedsBackward || (isPrefix && trained is not null),
                        (inner, value) => Without(ablated, inner, layer.Forward(inner, value, settings))
                    )
                    : Without(ablated, tape, layer.Forward(tape, input, settings, layerCache));
            AfterLayer?.Invoke(i, x.Value);
        }
        Adapter?.End();
        cache?.Advance(length);
        if (tokens is null || isPrefix)
            return x;
        using (x)
            return DropLeadingNode.Apply(tape, x, before, rows);
    }

    /// <summary>
    /// Computes the sum of the token losses of a batch, [1] F32, unscaled. With a recording tape
    /// <see cref="Tape.Backward"/> then gives the gradients of that sum times <paramref name="gradientScale"/>. The
    /// caller disposes the result.
    /// </summary>
    /// <remarks>
    /// If the config asks for a loss that balances the load of experts, it is added once for each token that carries
    /// loss, so that a mean over the tokens has it once, as in transformers.
    /// </remarks>
    /// <param name="tape">The tape that records the operations.</param>
    /// <param name="batch">The tokens and targets.</param>
    /// <param name="gradientScale">
    /// The factor on the gradients: 1 / (loss tokens of the whole optimizer step) for a mean over them.
    /// </param>
    /// <param name="checkpoint">Whether to recompute each layer's activations during backward.</param>
    /// <param name="lossScale">
    /// A further factor on the gradients, [1] F32 on the device, which a replayed step may change; null: 1.
    /// </param>
    public Tensor Loss(
        Tape tape,
        BatchTensors batch,
        float gradientScale,
        bool checkpoint = false,
        Tensor? lossScale = null
    )
    {
        RouterBalance? balance = BeginBalance(tape, batch);
        Adapter?.Weigh(gradientScale * batch.Source.LossTokens, lossScale);
        using Tensor losses = TokenLosses(tape, batch, gradientScale, checkpoint, null, lossScale, balance);
        var sum = Tensor.Empty(Device, 1);
        Sum.Run(losses, sum);
        balance?.Complete(sum, batch.Source.LossTokens, gradientScale, lossScale);
        return sum;
    }

    /// <summary>
    /// Computes the loss of each token that carries one, [K] F32 in the order of <see cref="BatchTensors.LossRows"/>.
    /// The caller disposes the result.
    /// </summary>
    /// <inheritdoc cref="Loss"/>
    /// <param name="tape">The tape that records the operations.</param>
    /// <param name="batch">The tokens and targets.</param>
    /// <param name="gradientScale">The factor on the gradients.</param>
    /// <param name="checkpoint">Whether to recompute each layer's activations during backward.</param>
    /// <param name="predictions">Receives the most probable next tokens, [K] I32; null: not wanted.</param>
    /// <param name="lossScale">A further factor on the gradients, [1] F32 on the device; null: 1.</param>
    public Tensor TokenLosses(
        Tape tape,
        BatchTensors batch,
        float gradientScale = 1,
        bool checkpoint = false,
        Tensor? predictions = null,
        Tensor? lossScale = null
    ) => TokenLosses(tape, batch, gradientScale, checkpoint, predictions, lossScale, balance: null);

    private Tensor TokenLosses(
        Tape tape,
        BatchTensors batch,
        float gradientScale,
        bool checkpoint,
        Tensor? predictions,
        Tensor? lossScale,
        RouterBalance? balance
    )
    {
        using Variable normed = Final(tape, batch, batch.LossRows, checkpoint, balance: balance);
        var losses = Tensor.Empty(Device, batch.LossRows.Dim(0));
        if (batch.LossValues is { } values)
            LossHead.RunSquared(tape, normed, Head, values, batch.LossMask!, losses, gradientScale, lossScale);
        else
            LossHead.Run(tape, normed, Head, batch.LossTargets, losses, gradientScale, predictions, lossScale, SoftCap);
        return losses;
    }

    /// <summary>
    /// Computes a loss that is a function of the token losses of a batch, [1] F32. Its derivatives are known only once
    /// all token losses are, so that the output head runs a second time for the gradients. The caller disposes the
    /// result.
    /// </summary>
    /// <param name="tape">The tape that records the operations.</param>
    /// <param name="batch">The tokens and targets.</param>
    /// <param name="weigh">Computes the loss and its derivatives from the token losses.</param>
    /// <param name="count">The number of terms of the loss, each of which balances experts.</param>
    /// <param name="checkpoint">Whether to recompute each layer's activations during backward.</param>
    /// <param name="lossScale">A factor on the gradients, [1] F32 on the device; null: 1.</param>
    internal Tensor RowLoss(
        Tape tape,
        BatchTensors batch,
        Func<float[], RowFactors> weigh,
        int count,
        bool checkpoint,
        Tensor? lossScale
    )
    {
        RouterBalance? balance = BeginBalance(tape, batch);
        Adapter?.Weigh(count, lossScale);
        using Variable normed = Final(tape, batch, batch.LossRows, checkpoint, balance: balance);
        using var losses = Tensor.Empty(Device, batch.LossRows.Dim(0));
        // With the same dropout in the head as the pass that gives the gradients.
        using (var first = new Tape(Device, records: false, tape.Dropout))
            LossHead.Run(first, normed, Head, batch.LossTargets, losses, softCap: SoftCap);
        RowFactors factors = weigh(losses.ToArray());
        if (tape.Records)
            LossHead.RunGroups(tape, normed, Head, batch.LossTargets, losses, factors.Groups, lossScale, SoftCap);
        var sum = Tensor.From(Device, [(float)factors.Loss], 1);
        balance?.Complete(sum, count, 1, lossScale);
        return sum;
    }

    /// <summary>
    /// Computes the entropy of the prediction of each token that carries loss, [K] F32, without reading the token. The
    /// caller disposes the result.
    /// </summary>
    /// <param name="tape">The tape that records the operations.</param>
    /// <param name="batch">The tokens; which of them carry loss counts, their targets do not.</param>
    /// <param name="gradientScale">The factor on the gradients.</param>
    /// <param name="checkpoint">Whether to recompute each layer's activations during backward.</param>
    internal Tensor TokenEntropies(Tape tape, BatchTensors batch, float gradientScale = 1, bool checkpoint = false)
    {
        using Variable normed = Final(tape, batch, batch.LossRows, checkpoint);
        var entropies = Tensor.Empty(Device, batch.LossRows.Dim(0));
        LossHead.RunEntropy(tape, normed, Head, entropies, gradientScale, SoftCap);
        return entropies;
    }

    /// <summary>
    /// Computes the logits [K, V] F32 of some rows of a batch, without recording. The caller disposes the result.
    /// </summary>
    /// <param name="batch">The tokens, padded on the right.</param>
    /// <param name="rows">The positions in B·S, [K] I32.</param>
    /// <param name="cache">A cache to append to, as in <see cref="Hidden"/>.</param>
    public Tensor Logits(BatchTensors batch, Tensor rows, KeyValueCache? cache = null)
    {
        using var tape = new Tape(Device, records: false);
        using Variable normed = Final(tape, batch, rows, cache: cache);
        return LossHead.Logits(normed.Value, Head, SoftCap);
    }

    /// <summary>
    /// Computes the last hidden states of some rows of a batch, after the final norm, without recording, and copies
    /// them to the host, [K, D].
    /// </summary>
    /// <param name="batch">The tokens, padded on the right.</param>
    /// <param name="rows">The positions in B·S, [K] I32.</param>
    internal float[] States(BatchTensors batch, Tensor rows)
    {
        using var tape = new Tape(Device, records: false);
        using Variable normed = Final(tape, batch, rows);
        using var wide = Tensor.Empty(Device, normed.Value.Shape);
        Cast.Run(normed.Value, wide);
        return wide.ToArray();
    }

    /// <summary>
    /// Writes a model folder: <c>config.json</c>, <c>model.safetensors</c> in the compute type, and the tokenizer's
    /// files.
    /// </summary>
    /// <param name="directory">An existing folder.</param>
    /// <param name="tokenizerSource">The folder from which tokenizer files are copied; null: none.</param>
    public void Save(string directory, string? tokenizerSource) =>
        _parameters.Save(Config, DType, directory, tokenizerSource);

    /// <inheritdoc/>
    public void Dispose()
    {
        Adapter?.Dispose();
        _rotary.Dispose();
        if (_head != _embedding)
            _head.Dispose();
        _parameters.Dispose();
    }

    /// <summary>Adds the embeddings of positions that start again with each record of a row.</summary>
    private static Variable WithPlaces(Tape tape, Variable x, Parameter positions, Tensor at, BatchTensors? trained)
    {
        TokenOrder? order = tape.Records && positions.Trains ? trained?.PlaceOrder : null;
        using Variable places = EmbeddingNode.Apply(tape, positions, at, order);
        return AddNode.Apply(tape, x, places);
    }

    /// <summary>
    /// Takes directions out of hidden states, which are disposed then, or returns them where there are none.
    /// </summary>
    private static Variable Without(Tensor? directions, Tape tape, Variable hidden)
    {
        if (directions is null)
            return hidden;
        using (hidden)
            return AblationNode.Apply(tape, hidden, directions);
    }

    /// <summary>Begins the loss that balances the load of experts; null where the config does not ask for it.</summary>
    private RouterBalance? BeginBalance(Tape tape, BatchTensors batch)
    {
        if (Config.Experts is not { AddsBalanceLoss: true, BalanceCoefficient: > 0 } experts)
            return null;
        // Virtual tokens that are rows of the layers' input count like all others.
        int before = Adapter?.VirtualTokens is { PrefixRotary: null } tokens ? tokens.Values.Dim(0) : 0;
        (int rows, int length) = (batch.Source.Rows, batch.Source.Length);
        bool[] isReal = new bool[rows * (before + length)];
        Array.Fill(isReal, true);
        for (int row = 0; row < rows && batch.Source.IsReal is not null; row++)
        {
            batch
                .Source.IsReal.AsSpan(row * length, length)
                .CopyTo(isReal.AsSpan(row * (before + length) + before, length));
        }
        return RouterBalance.Begin(tape, experts, isReal);
    }

    /// <summary>
    /// Adds the embeddings of the kinds of tokens and normalises the sum, in a model that does; takes ownership of x.
    /// </summary>
    private Variable Embedded(Tape tape, Variable x, BatchTensors batch)
    {
        if (_types is not null)
        {
            using Variable own = x;
            using Variable kinds = EmbeddingNode.Apply(
                tape,
                _types,
                batch.Types,
                tape.Records && _types.Trains ? batch.TypeOrder : null
            );
            x = AddNode.Apply(tape, own, kinds);
        }

        if (_embeddingNorm is null)
            return x;
        using (x)
            return _embeddingNorm.Apply(tape, x);
    }

    /// <summary>Computes tanh of the layer before the output layer, in a model that has one; takes ownership.</summary>
    private Variable Pooled(Tape tape, Variable picked)
    {
        if (_pooler is null)
            return picked;
        using Variable own = picked;
        using Variable pooled = LinearNode.Apply(tape, own, _pooler);
        return TanhNode.Apply(tape, pooled);
    }

    /// <summary>Computes the normalised final hidden states of some rows of a batch, [K, D].</summary>
    private Variable Final(
        Tape tape,
        BatchTensors batch,
        Tensor rows,
        bool checkpoint = false,
        KeyValueCache? cache = null,
        RouterBalance? balance = null
    )
    {
        using Variable hidden = States(tape, batch, checkpoint, cache, balance);
        Variable picked = GatherRowsNode.Apply(tape, hidden, rows);
        if (_finalNorm is null)
            return Pooled(tape, picked);
        using Variable own = picked;
        return ScaleNode.Apply(
            tape,
            _finalNorm.Apply(tape, own),
            (float)(Config.LogitMultiplier / Config.LogitDivisor)
        );
    }

    /// <summary>
    /// Returns the number of the decoder layer that a tensor belongs to, of the model or of an adapter's module; null:
    /// it belongs to none.
    /// </summary>
    internal int? LayerOf(string tensor)
    {
        for (int end = tensor.LastIndexOf('.'); end > 0; end = tensor.LastIndexOf('.', end - 1))
        {
            if (_layerOf.TryGetValue(tensor[..end], out int layer))
                return layer;
        }

        return null;
    }

    /// <summary>
    /// Returns a weight of the model by its name. A head that is tied to the embedding has a parameter of its own,
    /// <see cref="ModelConfig.HeadWeight"/>.
    /// </summary>
    internal Parameter ParameterOf(string tensor) => tensor == Config.HeadWeight ? _head : _parameters[tensor];
}
