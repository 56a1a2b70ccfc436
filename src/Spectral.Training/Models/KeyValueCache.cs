using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>
/// The keys and values of every layer for the positions decoded so far, so that a new token costs only one row of
/// computation.
/// </summary>
public sealed class KeyValueCache : IDisposable
{
    private readonly LayerCache[] _layers;
    private readonly int[] _lengths;
    private readonly Tensor _offsets;
    private readonly Tensor _visible;

    /// <summary>
    /// Allocates room for <paramref name="capacity"/> positions in each of <paramref name="rows"/> rows.
    /// </summary>
    /// <param name="model">The model whose keys and values are cached.</param>
    /// <param name="rows">The number of rows in a batch.</param>
    /// <param name="capacity">The number of positions per row.</param>
    public KeyValueCache(CausalLanguageModel model, int rows, int capacity)
    {
        ModelConfig config = model.Config;
        Capacity = capacity;
        _lengths = new int[rows];
        _offsets = Tensor.Zeros(model.Device, rows, DType.I32);
        _visible = Tensor.Zeros(model.Device, rows, DType.I32);
        Shape shape = (rows, config.KeyValueHeads, capacity, config.HeadDimension);
        _layers = new LayerCache[config.Layers];
        for (int i = 0; i < _layers.Length; i++)
        {
            var keys = Tensor.Zeros(model.Device, shape, model.DType);
            _layers[i] = new LayerCache(keys, Tensor.Zeros(model.Device, shape, model.DType), _offsets, _visible);
        }
    }

    /// <summary>The number of positions per row that there is room for.</summary>
    public int Capacity { get; }

    /// <summary>The number of positions that are filled in the longest row.</summary>
    public int Length => _lengths.Max();

    /// <summary>The number of positions that are filled in each row, [rows] I32, during a forward pass.</summary>
    internal Tensor Offsets => _offsets;

    /// <summary>
    /// What an adapter keeps of the prompt of each row for the tokens after it, by what it is: the same number of
    /// values for each row.
    /// </summary>
    internal Dictionary<object, float[]> Kept { get; } = [];

    /// <summary>Whether rows have different numbers of filled positions.</summary>
    internal bool IsRagged => Array.Exists(_lengths, length => length != _lengths[0]);

    internal LayerCache this[int layer] => _layers[layer];

    /// <summary>
    /// Prepares a forward pass: checks that its positions fit, and stores where they go and how many positions a single
    /// new one sees.
    /// </summary>
    /// <exception cref="ArgumentException">The positions do not fit.</exception>
    internal void Begin(int rows, int positions)
    {
        if (rows != _lengths.Length || Length + positions > Capacity || (Length > 0 && positions > 1))
        {
            throw new ArgumentException(
                $"{rows} rows of {positions} more positions; the cache has {_lengths.Length} rows with {Length} of "
                    + $"{Capacity} filled and then takes one at a time"
            );
        }

        _offsets.CopyFrom(_lengths);
        _visible.CopyFrom(Array.ConvertAll(_lengths, length => length + 1));
    }

    /// <summary>Counts the positions of a forward pass as filled.</summary>
    internal void Advance(int positions)
    {
        for (int i = 0; i < _lengths.Length; i++)
            _lengths[i] += positions;
    }

    /// <summary>Gives up the padding at the end of each row, so that its next token follows its own.</summary>
    /// <param name="padding">The number of positions of each row, from 0 to those filled.</param>
    internal void Shorten(IReadOnlyList<int> padding)
    {
        for (int i = 0; i < _lengths.Length; i++)
            _lengths[i] -= padding[i];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (LayerCache layer in _layers)
            layer.Dispose();
        _offsets.Dispose();
        _visible.Dispose();
    }
}
