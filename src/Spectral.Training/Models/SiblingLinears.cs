using Spectral.Training.Numerics;

namespace Spectral.Training.Models;

/// <summary>
/// Linear layers that read the same input, such as q, k and v, or gate and up, so that one pass over the input can
/// serve all of them.
/// </summary>
public sealed class SiblingLinears
{
    private readonly Linear[] _layers;

    /// <summary>Joins layers, in place of what they were joined with before.</summary>
    /// <exception cref="ArgumentException">There are no layers, or their input sizes differ.</exception>
    public SiblingLinears(params IReadOnlyList<Linear> layers)
    {
        if (layers.Count == 0 || layers.Any(layer => layer.In != layers[0].In))
        {
            throw new ArgumentException(
                $"layers of {string.Join(", ", layers.Select(layer => layer.In))} inputs, expected one or "
                    + "more of the same",
                nameof(layers)
            );
        }

        _layers = [.. layers];
        SampleStream = (uint)RandomStream.For(layers[0].Name);
        foreach (Linear layer in layers)
            layer.Siblings = this;
    }

    /// <summary>The sibling layers, in the order of the checkpoint.</summary>
    public IReadOnlyList<Linear> Layers => _layers;

    /// <summary>Computes the layers while some of them have an adapter; null if none has.</summary>
    internal ISiblingsAdapter? Adapter { get; set; }

    /// <summary>
    /// Returns the distance between rows of the input, in elements. It exceeds the number of inputs where augmented
    /// layers need room after them. With a cache, rows are few and operations many, so that the augmented layout does
    /// not pay.
    /// </summary>
    internal int StrideFor(LayerCache? cache) => (cache is null ? Adapter?.InputStride : null) ?? _layers[0].In;

    /// <summary>Whether anything in these layers trains.</summary>
    public bool Trains => Array.Exists(_layers, layer => layer.Trains);

    /// <summary>The observer during calibration; usually null.</summary>
    internal LinearObserver? Observer { get; set; }

    /// <summary>Whether backward has to reach these layers even if nothing below them trains.</summary>
    internal bool NeedsBackward => Trains || Observer is { SeesGradients: true };

    /// <summary>
    /// Whether every token is a row of the input, in order; the input of an expert has only some of them.
    /// </summary>
    internal bool ReadsAllTokens { get; set; } = true;

    /// <summary>The random stream of the rows that stand for all rows of the input in backward.</summary>
    internal uint SampleStream { get; }

    /// <summary>Whether backward reads the input, which is saved only then.</summary>
    internal bool NeedsInput => Array.Exists(_layers, layer => layer.NeedsInput) || Observer is { SeesGradients: true };
}
