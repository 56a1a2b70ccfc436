using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Distributed.Sharding;

/// <summary>
/// Weights that a model reads together, such as those of a decoder layer, one after another in a flat buffer. Each rank
/// keeps an equal part of the buffer, whatever tensors it cuts.
/// </summary>
/// <remarks>
/// Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", 2020, whose third stage
/// divides the parameters; the flat buffer of a layer needs one message for all its tensors.
/// </remarks>
internal sealed class ShardedUnit : IDisposable
{
    /// <summary>The elements to which tensors and parts are aligned, as those of trained parameters are.</summary>
    private const int Alignment = 64;

    private readonly ShardedWeights _weights;
    private readonly int[] _offsets;
    private readonly Shape[] _shapes;
    private readonly Tensor?[] _values;
    private readonly Tensor?[] _gradients;
    private Tensor? _whole;
    private Tensor? _gradient;

    /// <summary>Lays tensors out. Nothing is allocated.</summary>
    /// <param name="weights">The weights that the unit is part of.</param>
    /// <param name="number">The number of the unit among them.</param>
    /// <param name="shapes">The shapes of the tensors.</param>
    /// <param name="matrices">The bytes of each part of the quantised matrices.</param>
    /// <param name="ranks">The ranks that keep the parts.</param>
    public ShardedUnit(
        ShardedWeights weights,
        int number,
        IReadOnlyList<Shape> shapes,
        IReadOnlyList<long[]> matrices,
        RankGroup ranks
    )
    {
        (_weights, Number, _shapes, _offsets) = (weights, number, [.. shapes], new int[shapes.Count]);
        (_values, _gradients) = (new Tensor?[shapes.Count], new Tensor?[shapes.Count]);
        long length = 0;
        for (int i = 0; i < shapes.Count; i++)
        {
            _offsets[i] = checked((int)length);
            length += Aligned(shapes[i].Count);
        }

        Length = checked((int)length);
        Part = checked((int)Aligned((length + ranks.Count - 1) / ranks.Count));
        Start = checked(Part * ranks.Rank);
        Count = ranks.Count;
        Matrices = matrices.Count == 0 ? null : new ShardedMatrices(weights.Device, matrices, ranks);
    }

    /// <summary>The number of the unit among the weights, in the order of their use.</summary>
    public int Number { get; }

    /// <summary>The elements of all tensors, with the padding between them.</summary>
    public int Length { get; }

    /// <summary>The elements that each rank keeps. The last ranks' may be padding.</summary>
    public int Part { get; }

    /// <summary>The element of the buffer at which this rank's part begins.</summary>
    public int Start { get; }

    /// <summary>The number of ranks.</summary>
    public int Count { get; }

    /// <summary>This rank's part, in the compute type.</summary>
    public Tensor Own { get; set; } = null!;

    /// <summary>The matrices of the unit that are quantised; null: it has none.</summary>
    public ShardedMatrices? Matrices { get; }

    /// <summary>This rank's parts of all buffers.</summary>
    public IEnumerable<Tensor> Owned => Matrices is null ? [Own] : [Own, Matrices.Own];

    /// <summary>The bytes of this rank's parts.</summary>
    public long OwnBytes => Own.Bytes + (Matrices?.Own.Bytes ?? 0);

    /// <summary>
    /// The gradient of this rank's part, F32, that the optimizer reads; null: the unit does not train.
    /// </summary>
    public Func<Tensor?> OwnGradient { get; set; } = () => null;

    /// <summary>Whether the unit trains.</summary>
    public bool Trains => OwnGradient() is not null;

    /// <summary>Whether all parts are here.</summary>
    public bool IsGathered => _whole is not null;

    /// <summary>The bytes of the gathered unit.</summary>
    public long WholeBytes => OwnBytes * Count;

    /// <summary>Returns the stretch of a tensor that lies in this rank's part.</summary>
    /// <param name="index">The number of the tensor.</param>
    /// <returns>
    /// Its first element, the place of that in the part, and the number of elements, which may be 0.
    /// </returns>
    public (long First, int Place, int Count) OwnOf(int index)
    {
        long from = Math.Max(_offsets[index], Start);
        long end = Math.Min(_offsets[index] + _shapes[index].Count, Start + (long)Part);
        return end <= from ? (0, 0, 0) : (from - _offsets[index], (int)(from - Start), (int)(end - from));
    }

    /// <summary>Returns the whole value of a tensor, which stays owned by the unit.</summary>
    public Tensor ValueOf(int index)
    {
        _weights.Require(this);
        return _values[index] ??= View(_whole!, index);
    }

    /// <summary>Returns a whole quantised matrix, which stays owned by the unit.</summary>
    public QuantizedMatrix MatrixOf(int index)
    {
        _weights.Require(this);
        return Matrices!.ValueOf(index);
    }

    /// <summary>Returns the whole gradient of a tensor, zeros at first, which stays owned by the unit.</summary>
    public Tensor GradientOf(int index)
    {
        _weights.RequireGradient(this);
        return _gradients[index] ??= View(_gradient!, index);
    }

    /// <summary>Allocates the memory for all parts.</summary>
    public void Open()
    {
        _whole = Tensor.Empty(Own.Device, checked(Part * Count), Own.DType);
        Matrices?.Open();
    }

    /// <summary>Fills the memory with the parts of all ranks, on the device's current stream.</summary>
    public void Gather(RankGroup ranks)
    {
        ranks.Gather(Own, _whole!);
        Matrices?.Gather(ranks);
    }

    /// <summary>Frees all parts but this rank's own.</summary>
    public void Close()
    {
        Close(ref _whole, _values);
        Matrices?.Close();
    }

    /// <summary>Allocates the gradient of all parts, zeros.</summary>
    public void OpenGradient() => _gradient = Tensor.Zeros(Own.Device, checked(Part * Count));

    /// <summary>Takes the gradient of all parts, which the caller disposes.</summary>
    public Tensor TakeGradient()
    {
        Tensor taken = _gradient!.Share();
        Close(ref _gradient, _gradients);
        return taken;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Close();
        Close(ref _gradient, _gradients);
        Own?.Dispose();
        Matrices?.Dispose();
    }

    private static void Close(ref Tensor? whole, Tensor?[] views)
    {
        foreach (Tensor? view in views)
            view?.Dispose();
        Array.Clear(views);
        whole?.Dispose();
        whole = null;
    }

    private static long Aligned(long elements) => (elements + Alignment - 1) / Alignment * Alignment;

    private Tensor View(Tensor whole, int index)
    {
        using Tensor rows = whole.Rows(_offsets[index], checked((int)_shapes[index].Count));
        return rows.View(_shapes[index]);
    }
}
