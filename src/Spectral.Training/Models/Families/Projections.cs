using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The linear layers with which a block reads its input: one for each value, or a single one that gives all values side
/// by side.
/// </summary>
internal sealed class Projections
{
    private readonly int[] _widths; // of the values of a single layer; empty where each value has its own

    /// <summary>Joins layers that give one value each.</summary>
    public Projections(params IReadOnlyList<Linear> layers)
    {
        (Layers, _widths) = (layers, []);
        Join(this);
    }

    /// <summary>Wraps a layer whose output [N, w₁ + w₂ + …] is several values side by side.</summary>
    public Projections(Linear fused, IReadOnlyList<int> widths) => (Layers, _widths) = ([fused], [.. widths]);

    /// <summary>The layers of the block, in the order of the checkpoint.</summary>
    public IReadOnlyList<Linear> Layers { get; }

    /// <summary>All layers that read the same input, also those of other blocks.</summary>
    public SiblingLinears Siblings => Layers[0].Siblings;

    /// <inheritdoc cref="SiblingLinears.StrideFor"/>
    public int StrideFor(LayerCache? cache) => Siblings.StrideFor(cache);

    /// <summary>Joins the layers of blocks that read the same input.</summary>
    public static SiblingLinears Join(params IReadOnlyList<Projections> blocks) =>
        new([.. blocks.SelectMany(block => block.Layers)]);

    /// <summary>Computes the values of a block whose input [N, D] no other block reads.</summary>
    public Variable[] Apply(Tape tape, Variable x) => Values(tape, LinearNode.Apply(tape, x, Siblings));

    /// <summary>Returns the block's values from the outputs of its layers, of which it takes ownership.</summary>
    public Variable[] Values(Tape tape, Variable[] outputs)
    {
        if (_widths.Length == 0)
            return outputs;
        using Variable whole = outputs[0];
        return SplitNode.Apply(tape, whole, _widths);
    }
}
