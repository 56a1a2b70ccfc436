using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Optim;

namespace Spectral.Training.Models;

/// <summary>A <see cref="Batch"/> on the device: all tokens, and the rows that carry loss with their targets.</summary>
public sealed class BatchTensors : IDisposable
{
    private TokenOrder? _order;
    private TrainedRows? _trainedRows;
    private TokenOrder? _rowOrder;
    private Tensor? _types;
    private TokenOrder? _typeOrder;
    private int _firstPlace;
    private Tensor? _places;
    private TokenOrder? _placeOrder;
    private Tensor? _noiseScales;
    private Func<float[]>? _computeNoiseScales;

    /// <summary>Copies the batch to the device.</summary>
    /// <param name="device">The device to copy to.</param>
    /// <param name="batch">The batch to copy.</param>
    /// <param name="lossRows">
    /// The number K of rows to compute losses for; null: as many as carry loss. Extra rows are other positions with
    /// target −1, so that their loss and gradient are zero.
    /// </param>
    /// <exception cref="ArgumentException">More rows carry loss than that, or there are fewer positions.</exception>
    public BatchTensors(Device device, Batch batch, int? lossRows = null)
    {
        Source = batch;
        int count = lossRows ?? batch.LossTokens;
        if (count > batch.Tokens.Length)
        {
            throw new ArgumentException(
                $"{count} rows of loss asked for in a batch of {batch.Tokens.Length} positions",
                nameof(lossRows)
            );
        }

        Tokens = Tensor.Empty(device, batch.Tokens.Length, DType.I32);
        LossRows = Tensor.Empty(device, count, DType.I32);
        LossTargets = Tensor.Empty(device, count, DType.I32);
        LossValues = batch.Values is null ? null : Tensor.Empty(device, count);
        LossMask = batch.Values is null ? null : Tensor.Empty(device, count);
        Spans = batch.Spans is null ? null : Tensor.Empty(device, (batch.Tokens.Length, 2), DType.I32);
        Update(batch);
    }

    /// <summary>The batch on the host.</summary>
    public Batch Source { get; private set; }

    /// <summary>All tokens of the batch, [B·S] I32.</summary>
    public Tensor Tokens { get; }

    /// <summary>The positions in B·S whose next token carries loss, ascending, followed by others; [K] I32.</summary>
    public Tensor LossRows { get; }

    /// <summary>The next tokens at <see cref="LossRows"/>, −1 for positions without loss; [K] I32.</summary>
    public Tensor LossTargets { get; }

    /// <summary>The numbers at <see cref="LossRows"/> that a model should give, [K] F32; null: classes.</summary>
    public Tensor? LossValues { get; }

    /// <summary>1 at <see cref="LossRows"/> that carry loss and 0 at others, [K] F32, beside numbers.</summary>
    internal Tensor? LossMask { get; }

    /// <summary>
    /// For each position the first position of its record in the row, and the one after its last, [B·S, 2] I32; null:
    /// a row has one record.
    /// </summary>
    public Tensor? Spans { get; }

    /// <summary>The tokens sorted, for the gradient of the embedding. Created on first use.</summary>
    public TokenOrder Order => _order ??= new TokenOrder(Tokens.Device, Source.Tokens);

    /// <summary>
    /// Returns the sorted tokens that <see cref="EmbeddingNode"/> needs for the gradient of a table, or of the rows of
    /// it that train.
    /// </summary>
    internal TokenOrder OrderFor(Parameter table)
    {
        if (table.Rows is not { } rows)
            return Order;
        if (_trainedRows != rows)
        {
            _rowOrder?.Dispose();
            (_trainedRows, _rowOrder) = (rows, new TokenOrder(Tokens.Device, PlacesIn(rows)));
        }
        return _rowOrder!;
    }

    /// <summary>The kind of each token, [B·S] I32. Created on first use.</summary>
    internal Tensor Types => _types ??= Tensor.From(Tokens.Device, TypesOnHost(), Tokens.Dim(0));

    /// <summary>The kinds sorted, for the gradient of their embeddings. Created on first use.</summary>
    internal TokenOrder TypeOrder => _typeOrder ??= new TokenOrder(Tokens.Device, TypesOnHost());

    /// <summary>
    /// Returns the position of each token in its record, [B·S] I32. Created on first use.
    /// </summary>
    /// <param name="first">The position of a record's first token, the same in all calls.</param>
    internal Tensor PlacesFrom(int first)
    {
        _firstPlace = first;
        return _places ??= Tensor.From(Tokens.Device, PlacesOnHost(), Tokens.Dim(0));
    }

    /// <summary>The positions sorted, for the gradient of their embeddings. Created on first use.</summary>
    internal TokenOrder PlaceOrder => _placeOrder ??= new TokenOrder(Tokens.Device, PlacesOnHost());

    /// <summary>Returns the largest noise of the embedding of each position, [B·S] F32.</summary>
    internal Tensor NoiseScalesFor(EmbeddingNoise noise, int width)
    {
        _computeNoiseScales ??= () => noise.Scales(Source.RecordLengths, width);
        return _noiseScales ??= Tensor.From(Tokens.Device, _computeNoiseScales(), Tokens.Dim(0));
    }

    /// <summary>Replaces the batch with another of the same shape, in the same memory.</summary>
    /// <exception cref="ArgumentException">
    /// The shape differs, or more rows carry loss than <see cref="LossRows"/> can hold.
    /// </exception>
    public void Update(Batch batch)
    {
        if (
            (batch.Rows, batch.Length) != (Source.Rows, Source.Length)
            || batch.LossTokens > LossRows.Count
            || batch.Spans is null != Spans is null
            || batch.Values is null != LossValues is null
        )
        {
            throw new ArgumentException(
                $"a batch of [{batch.Rows}, {batch.Length}] with {batch.LossTokens} loss tokens, expected "
                    + $"[{Source.Rows}, {Source.Length}] with {LossRows.Count} at most",
                nameof(batch)
            );
        }
        Source = batch;
        int[] rows = new int[LossRows.Count];
        int[] targets = new int[rows.Length];
        Array.Fill(targets, -1);
        (int next, int other) = (0, batch.LossTokens);
        for (int i = 0; i < batch.Targets.Length; i++)
        {
            if (batch.Targets[i] >= 0)
                (rows[next], targets[next++]) = (i, batch.Targets[i]);
            else if (other < rows.Length)
                rows[other++] = i;
        }
        Tokens.CopyFrom(batch.Tokens);
        LossRows.CopyFrom(rows);
        LossTargets.CopyFrom(targets);
        LossValues?.CopyFrom(Array.ConvertAll(rows, row => batch.Values![row]));
        LossMask?.CopyFrom(Array.ConvertAll(targets, target => target < 0 ? 0f : 1f));
        Spans?.CopyFrom(batch.Spans!);
        _types?.CopyFrom(TypesOnHost());
        _typeOrder?.Update(TypesOnHost());
        _places?.CopyFrom(PlacesOnHost());
        _placeOrder?.Update(PlacesOnHost());
        _noiseScales?.CopyFrom(_computeNoiseScales!());
        _order?.Update(batch.Tokens);
        if (_trainedRows is { } trained)
            _rowOrder!.Update(PlacesIn(trained));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Tokens.Dispose();
        LossRows.Dispose();
        LossTargets.Dispose();
        Spans?.Dispose();
        LossValues?.Dispose();
        LossMask?.Dispose();
        _types?.Dispose();
        _typeOrder?.Dispose();
        _places?.Dispose();
        _placeOrder?.Dispose();
        _noiseScales?.Dispose();
        _order?.Dispose();
        _rowOrder?.Dispose();
    }

    private int[] TypesOnHost() => Source.Types ?? new int[Source.Tokens.Length];

    private int[] PlacesOnHost()
    {
        int[] places = new int[Source.Tokens.Length];
        for (int i = 0; i < places.Length; i++)
            places[i] = _firstPlace + i % Source.Length - (Source.Spans?[2 * i] ?? 0);
        return places;
    }

    private int[] PlacesIn(TrainedRows rows) => Array.ConvertAll(Source.Tokens, rows.PlaceOf);
}
