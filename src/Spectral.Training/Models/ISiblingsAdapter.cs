using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>Computes sibling layers of which some carry an adapter, in place of <see cref="LinearNode"/>.</summary>
internal interface ISiblingsAdapter
{
    /// <summary>
    /// Elements from one row of the layers' input to the next that it can make use of; null: as many as there are
    /// inputs.
    /// </summary>
    int? InputStride { get; }

    /// <summary>Applies the layers; one value per layer.</summary>
    /// <param name="tape">The tape.</param>
    /// <param name="x">The layers' input, [N, in].</param>
    /// <param name="siblings">The layers.</param>
    Variable[] Apply(Tape tape, Variable x, SiblingLinears siblings);
}
