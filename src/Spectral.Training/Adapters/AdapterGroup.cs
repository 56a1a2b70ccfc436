using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>The adapters of a <see cref="LinearGroup"/>, packed so that the kernels read the layers' common input once for all of them.</summary>
public sealed class AdapterGroup : IDisposable
{
    private readonly AdapterCore[] _cores;
    private readonly int[] _places;
    private readonly LowRankLayer[] _layers;
    private readonly LowRankGroup _factors;
    private readonly Tensor _right;
    private readonly Tensor? _middle;
    private readonly double _dropout;
    private readonly uint _stream;
    private DropoutMask? _mask;

    /// <summary>Packs the adapters of some of a group's layers and attaches them.</summary>
    /// <param name="group">The layers.</param>
    /// <param name="modules">The adapters, by layer name; those of other layers are left alone.</param>
    /// <param name="dtype">Compute type.</param>
    /// <param name="dropout">Probability of dropping an element of the adapters' input while training.</param>
    /// <param name="stream">Of this group's dropout masks, its own in the model.</param>
    internal AdapterGroup(LinearGroup group, IReadOnlyDictionary<string, AdaptedModule> modules, DType dtype, double dropout = 0, uint stream = 0)
    {
        (_dropout, _stream) = (dropout, stream);
        _places = [.. Enumerable.Range(0, group.Layers.Count).Where(i => modules.ContainsKey(group.Layers[i].Name))];
        Linear[] layers = [.. _places.Select(i => group.Layers[i])];
        AdaptedModule[] adapted = [.. layers.Select(layer => modules[layer.Name])];
        _layers = [.. layers.Select(layer => new LowRankLayer(layer.Weight.Value, layer.Bias?.Value))];
        var device = layers[0].Weight.Value.Device;
        AdapterBlock[] blocks = [.. adapted.SelectMany(module => module.Blocks)];
        Rank = blocks.Sum(block => block.Rank);
        _right = Tensor.Empty(device, (Rank, layers[0].In), dtype);
        // One factor for all costs nothing; anything else is a diagonal, applied while z is written.
        var uniform = blocks.All(block => block.Sigma is null && block.Scale == blocks[0].Scale);
        _middle = uniform ? null : Tensor.From(device, blocks.SelectMany(block => Enumerable.Repeat(block.Scale, block.Rank)).ToArray(), Rank);
        Tensor[] lefts = [.. adapted.Select(module => Tensor.Empty(device, (module.Shape.Out, module.Blocks.Sum(block => block.Rank)), dtype))];
        _factors = new LowRankGroup(lefts, _right, _middle, uniform ? blocks[0].Scale : 1);
        _cores = [.. adapted.Zip(_factors.Members, (module, factors) => module.Pack(factors))];
        foreach (var (layer, core) in layers.Zip(_cores))
            layer.Adapter = core;
        group.Adapter = this;
    }

    /// <summary>Sum of the ranks.</summary>
    public int Rank { get; }

    /// <summary>The masks of a training pass; null where nothing is dropped.</summary>
    internal DropoutMask? DropoutOn(Tape tape)
    {
        if (_dropout == 0 || tape.Dropout is not { } state)
            return null;
        return _mask is { } mask && mask.State == state ? mask : _mask = new DropoutMask(state, _stream, _dropout);
    }

    /// <summary>The outputs of the adapted layers.</summary>
    /// <param name="x">[N, in].</param>
    /// <param name="values">[N, out] of every layer of the group; those of adapted layers are overwritten.</param>
    /// <param name="projected">x Rᵀ [N, <see cref="Rank"/>]; overwritten.</param>
    /// <param name="dropout">Applied to the adapters' x.</param>
    internal void Forward(Tensor x, Tensor[] values, Tensor projected, DropoutMask? dropout) =>
        _factors.Forward(x, _layers, [.. _places.Select(place => values[place])], projected, dropout);

    /// <summary>Adds the gradients of the trainable factors to their buffers and produces the adapted layers' part of dx.</summary>
    /// <param name="x">[N, in], saved by forward; null when no R trains.</param>
    /// <param name="projected">x Rᵀ, saved by forward.</param>
    /// <param name="gradients">dy [N, out] of every layer of the group.</param>
    /// <param name="dx">[N, in]; null when nothing below trains.</param>
    /// <param name="accumulate">Whether to add to what <paramref name="dx"/> holds.</param>
    /// <param name="dropout">That of the forward pass.</param>
    internal void Backward(Tensor? x, Tensor projected, Tensor?[] gradients, Tensor? dx, bool accumulate, DropoutMask? dropout)
    {
        LowRankGradients[] wanted = [.. _cores.Select(core => core.Gradients())];
        try
        {
            _factors.Backward(x, _layers, projected, [.. _places.Select(place => gradients[place]!)], dx, wanted, accumulateGradients: true, accumulate, dropout);
            foreach (var (core, gradient) in _cores.Zip(wanted))
                core.Finish(gradient);
        }
        finally
        {
            foreach (var gradient in wanted)
                gradient.Middle?.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var member in _factors.Members)
            member.Left.Dispose();
        _factors.Dispose();
        _right.Dispose();
        _middle?.Dispose();
    }
}
