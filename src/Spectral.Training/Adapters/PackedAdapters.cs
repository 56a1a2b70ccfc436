using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Tokens;
using Spectral.Training.Autograd;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>
/// The adapters of a <see cref="SiblingLinears"/>, packed so that the kernels read the layers' common input only once.
/// </summary>
public sealed class PackedAdapters : ISiblingsAdapter, IDisposable
{
    private readonly List<AdapterPart> _parts = [];
    private readonly double _dropout;
    private readonly uint _stream;
    private DropoutMask? _mask;

    /// <summary>Packs the adapters of some sibling layers without attaching them.</summary>
    /// <param name="siblings">The layers, which read the same input.</param>
    /// <param name="modules">The adapted modules by layer name; those of other layers are ignored.</param>
    /// <param name="dtype">The compute type.</param>
    /// <param name="dropout">The probability of dropping an element of the adapters' input while training.</param>
    /// <param name="stream">
    /// The random stream of the dropout masks, different for each set of siblings in the model.
    /// </param>
    internal PackedAdapters(
        SiblingLinears siblings,
        IReadOnlyDictionary<string, AdaptedModule> modules,
        DType dtype,
        double dropout = 0,
        uint stream = 0
    )
    {
        (_dropout, _stream) = (dropout, stream);
        IEnumerable<(int place, Linear layer, AdaptedModule module)> adapted = Enumerable
            .Range(0, siblings.Layers.Count)
            .Where(place => modules.ContainsKey(siblings.Layers[place].Name))
            .Select(place => (place, layer: siblings.Layers[place], module: modules[siblings.Layers[place].Name]));
        try
        {
            // A layer whose inputs are scaled has an x of its own. All others share x; a layer without terms has
            // nothing to share.
            foreach (
                IGrouping<int, (int place, Linear layer, AdaptedModule module)> part in adapted.GroupBy(item =>
                    item.module.Form.InputScale is not null || item.module.Form.Terms.Count == 0 ? item.place : -1
                )
            )
            {
                _parts.Add(
                    new AdapterPart(
                        [.. part.Select(item => item.place)],
                        [.. part.Select(item => item.layer)],
                        [.. part.Select(item => item.module)],
                        dtype
                    )
                );
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The adapted layers, grouped by the x they read.</summary>
    internal IReadOnlyList<AdapterPart> Parts => _parts;

    /// <summary>The layers in augmented layout; null while they do not run augmented.</summary>
    internal AugmentedLayers? Augmented { get; private set; }

    /// <summary>
    /// The tokens of the batch that is computed; null where nothing that the adapters add depends on them.
    /// </summary>
    internal TokenRows? Rows { get; set; }

    /// <summary>Whether elements of the adapters' input are dropped while training.</summary>
    internal bool Drops => _dropout > 0;

    /// <inheritdoc/>
    int? ISiblingsAdapter.InputStride => Augmented?.Weight.InputStride;

    /// <inheritdoc/>
    Variable[] ISiblingsAdapter.Apply(Tape tape, Variable x, SiblingLinears siblings)
    {
        if (Augmented is { } augmented && x.Columns.Stride == augmented.Weight.InputStride)
            return AugmentedLinearNode.Apply(tape, x, siblings, augmented);
        siblings.Observer?.Forward(x.Value);
        Variable[] values = AdaptedLinearNode.Apply(tape, x, siblings, this);
        if (Rows is { } rows)
            AddChanges(new TokenPass(tape, rows, DropoutOn(tape)), x, values);
        return values;
    }

    /// <summary>Makes the layers, those that were packed, compute with their adapters.</summary>
    internal void Attach(SiblingLinears siblings)
    {
        foreach (AdapterPart part in _parts)
            part.Attach();
        siblings.Adapter = this;
    }

    /// <summary>Moves the weights into the layout of augmented products, if the adapters allow it.</summary>
    internal void Augment(SiblingLinears siblings)
    {
        if (AugmentedLayers.Suits(this))
            Augmented = new AugmentedLayers(siblings, _parts[0]);
    }

    /// <summary>Moves the weights back to their own buffers.</summary>
    internal void Reduce()
    {
        Augmented?.Dispose();
        Augmented = null;
    }

    /// <summary>Returns the dropout mask of a training pass; null where nothing is dropped.</summary>
    internal DropoutMask? DropoutOn(Tape tape)
    {
        if (_dropout == 0 || tape.Dropout is not { } state)
            return null;
        return _mask is { } mask && mask.State == state ? mask : _mask = new DropoutMask(state, _stream, _dropout);
    }

    /// <summary>Adds what depends on the token to the layers' outputs.</summary>
    private void AddChanges(in TokenPass pass, Variable x, Variable[] values)
    {
        foreach (AdapterPart part in _parts)
        {
            foreach ((int place, AdapterCore core) in part.Places.Zip(part.Cores))
                values[place] = core.Form.Change?.Apply(pass, x, values[place]) ?? values[place];
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Reduce();
        foreach (AdapterPart part in _parts)
            part.Dispose();
    }
}
