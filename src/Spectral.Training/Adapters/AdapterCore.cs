using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>
/// One module's blocks packed for the low-rank kernels: L [out, p], c [p], R [p, in] in the compute type, p the sum of the blocks' ranks.
/// Frozen parts are packed once, trainable ones after each optimizer step.
/// </summary>
public sealed class AdapterCore
{
    private readonly AdapterBlock[] _blocks;
    private readonly IReadOnlyDictionary<string, Parameter> _factors;
    private readonly AdapterBlock? _spectral;
    private readonly Parameter _trained;
    private readonly int _leftFrom;
    private readonly int _rightFrom;

    /// <summary>Packs the given factors.</summary>
    /// <param name="module">The layer, for messages.</param>
    /// <param name="blocks">The terms of its weight change.</param>
    /// <param name="factors">Their tensors by name; they stay owned by the caller.</param>
    /// <param name="packed">Where to pack them; a middle diagonal already holds the blocks' scales.</param>
    public AdapterCore(ModuleShape module, IReadOnlyList<AdapterBlock> blocks, IReadOnlyDictionary<string, Parameter> factors, LowRankFactors packed)
    {
        (_blocks, _factors, Factors) = ([.. blocks], factors, packed);
        _leftFrom = FrozenRank(block => block.Left);
        _rightFrom = FrozenRank(block => block.Right);
        _trained = factors[blocks.SelectMany(block => block.Factors).First(factor => factor.Trains).Name];
        _spectral = blocks[0].Sigma is null ? null : blocks[0];
        if (blocks.Skip(1).Any(block => block.Sigma is not null))
            throw new InvalidOperationException($"{module.Name}: only the first block of an adapter may scale singular values");
        Pack(all: true);
    }

    /// <summary>p.</summary>
    public int Rank => Factors.Rank;

    /// <summary>What the kernels read.</summary>
    public LowRankFactors Factors { get; }

    /// <summary>Whether the trainable factors have gradient buffers.</summary>
    public bool Trains => _trained.Trains;

    /// <summary>Whether backward reads x: only the gradient of R does.</summary>
    internal bool NeedsInput => Gradient(_blocks[^1].Right) is not null;

    private Tensor? DeltaGradient => _spectral is null ? null : _factors[_spectral.Delta!.Name].Gradient;

    /// <summary>Renews what derives from trainable masters.</summary>
    public void Refresh() => Pack(all: false);

    /// <summary>
    /// Where backward adds the gradients. That of c is an intermediate, zero at first, for the kernels add to all gradients or to none; the
    /// caller disposes it after <see cref="Finish"/>.
    /// </summary>
    internal LowRankGradients Gradients()
    {
        var dMiddle = DeltaGradient is { } delta ? Tensor.Zeros(delta.Device, delta.Shape) : null;
        return new LowRankGradients(Gradient(_blocks[^1].Left), _leftFrom, dMiddle, Gradient(_blocks[^1].Right), _rightFrom);
    }

    /// <summary>Carries the gradient of c on to that of δ.</summary>
    internal void Finish(in LowRankGradients gradients)
    {
        if (DeltaGradient is { } delta)
            SpectralRescale.DeltaGradient(gradients.Middle!, _factors[_spectral!.Sigma!.Name].Value, delta, accumulate: true);
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
