using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>
/// One module's blocks packed for the low-rank kernels: L [out, p], c [p], R [p, in] in the compute type, p the sum of the blocks' ranks.
/// Frozen parts are packed once, trainable ones after each optimizer step.
/// </summary>
public sealed class AdapterCore : IDisposable
{
    private readonly AdapterBlock[] _blocks;
    private readonly IReadOnlyDictionary<string, Parameter> _factors;
    private readonly AdapterBlock? _spectral;
    private readonly Parameter _trained;
    private readonly int _leftFrom;
    private readonly int _rightFrom;

    /// <summary>Packs the given factors; they stay owned by the caller.</summary>
    public AdapterCore(Device device, DType dtype, ModuleShape module, IReadOnlyList<AdapterBlock> blocks, IReadOnlyDictionary<string, Parameter> factors)
    {
        (_blocks, _factors) = ([.. blocks], factors);
        Rank = blocks.Sum(block => block.Rank);
        _leftFrom = FrozenRank(block => block.Left);
        _rightFrom = FrozenRank(block => block.Right);
        _trained = factors[blocks.SelectMany(block => block.Factors).First(factor => factor.Trains).Name];
        _spectral = blocks[0].Sigma is null ? null : blocks[0];
        if (blocks.Skip(1).Any(block => block.Sigma is not null))
            throw new InvalidOperationException($"{module.Name}: only the first block of an adapter may scale singular values");
        var uniform = _spectral is null && blocks.All(block => block.Scale == blocks[0].Scale);
        var middle = uniform ? null : Tensor.From(device, blocks.SelectMany(block => Enumerable.Repeat(block.Scale, block.Rank)).ToArray(), Rank);
        Factors = new LowRankFactors(
            Tensor.Empty(device, (module.Out, Rank), dtype), middle, Tensor.Empty(device, (Rank, module.In), dtype), uniform ? blocks[0].Scale : 1);
        Pack(all: true);
    }

    /// <summary>p.</summary>
    public int Rank { get; }

    /// <summary>What the kernels read.</summary>
    public LowRankFactors Factors { get; }

    /// <summary>Whether the trainable factors have gradient buffers.</summary>
    public bool Trains => _trained.Trains;

    /// <summary>Whether backward reads x: only the gradient of R does.</summary>
    internal bool NeedsInput => Gradient(_blocks[^1].Right) is not null;

    /// <summary>Renews what derives from trainable masters.</summary>
    public void Refresh() => Pack(all: false);

    /// <summary>Adds the gradients of the trainable factors to their buffers and produces dx.</summary>
    /// <param name="x">[N, in], saved by forward; null when R does not train.</param>
    /// <param name="weight">[out, in].</param>
    /// <param name="projected">x Rᵀ [N, p], saved by forward.</param>
    /// <param name="dy">[N, out].</param>
    /// <param name="dx">[N, in]; null when nothing below trains.</param>
    /// <param name="accumulate">Whether to add to what <paramref name="dx"/> holds.</param>
    public void Backward(Tensor? x, Tensor weight, Tensor projected, Tensor dy, Tensor? dx, bool accumulate)
    {
        var delta = _spectral is null ? null : _factors[_spectral.Delta!.Name].Gradient;
        // The kernels add to all gradients or to none; that of c is an intermediate and starts from zero.
        using var dMiddle = delta is null ? null : Tensor.Zeros(dy.Device, delta.Shape);
        var gradients = new LowRankGradients(Gradient(_blocks[^1].Left), _leftFrom, dMiddle, Gradient(_blocks[^1].Right), _rightFrom);
        LowRankLinear.Backward(x, weight, Factors, projected, dy, dx, gradients, accumulateGradients: true, accumulate);
        if (delta is not null)
            SpectralRescale.DeltaGradient(dMiddle!, _factors[_spectral!.Sigma!.Name].Value, delta, accumulate: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Factors.Left.Dispose();
        Factors.Middle?.Dispose();
        Factors.Right.Dispose();
    }

    private Tensor? Gradient(Factor factor) => _factors[factor.Name].Gradient;

    private void Pack(bool all)
    {
        var offset = 0;
        foreach (var block in _blocks)
        {
            if (all || block.Left.Trains)
                CopyBlock.Run(_factors[block.Left.Name].Master, Factors.Left, 0, offset);
            if (all || block.Right.Trains)
                CopyBlock.Run(_factors[block.Right.Name].Master, Factors.Right, offset, 0);
            offset += block.Rank;
        }
        if (_spectral is null)
            return;
        using var scaled = Factors.Middle!.Rows(0, _spectral.Rank);
        SpectralRescale.Middle(_factors[_spectral.Sigma!.Name].Master, _factors[_spectral.Delta!.Name].Master, 1, scaled);
    }

    /// <summary>Rank of the leading blocks whose factor on one side is frozen. What trains must be the last block alone.</summary>
    private int FrozenRank(Func<AdapterBlock, Factor> side)
    {
        if (_blocks.SkipLast(1).Any(block => side(block).Trains))
            throw new InvalidOperationException("only the last block of an adapter may train its left or right factor");
        return side(_blocks[^1]).Trains ? Rank - _blocks[^1].Rank : Rank;
    }
}
