using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// Computes sibling layers, some or all of which have an adapter, in place of <see cref="LinearNode"/>.
/// </summary>
internal interface ISiblingsAdapter
{
    /// <summary>
    /// The number of elements from one row of the layers' input to the next with which they run fastest; null: the
    /// number of inputs.
    /// </summary>
    int? InputStride { get; }

    /// <summary>Applies the layers. Returns one value [N, out] per layer.</summary>
    /// <param name="tape">The tape that records the operation.</param>
    /// <param name="x">The layers' input, [N, in].</param>
    /// <param name="siblings">The layers, which read the same input.</param>
    Variable[] Apply(Tape tape, Variable x, SiblingLinears siblings);
}
