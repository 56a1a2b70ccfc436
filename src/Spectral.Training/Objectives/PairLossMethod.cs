using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Objectives;

/// <summary>A loss on pairs of a chosen and a rejected answer to one prompt.</summary>
internal abstract class PairLossMethod : LossMethod
{
    /// <inheritdoc/>
    public sealed override bool TakesPairs => true;

    /// <summary>
    /// Whether the loss needs the divergence from the base that prompts with answers to other prompts show.
    /// </summary>
    public virtual bool NeedsDivergence => false;

    /// <summary>Computes the loss of one pair.</summary>
    /// <param name="chosen">The log-probability of the chosen side.</param>
    /// <param name="rejected">The log-probability of the rejected side.</param>
    /// <param name="divergence">The divergence of the pair's step; 0 if the loss does not need it.</param>
    /// <param name="setting">Returns the value of one of the loss's settings.</param>
    public abstract PairTerm Term(
        SequenceScore chosen,
        SequenceScore rejected,
        double divergence,
        Func<string, double> setting
    );

    /// <summary>Computes the loss of one answer by itself, where the loss takes labels.</summary>
    /// <param name="side">The log-probability of the answer.</param>
    /// <param name="isGood">Its label.</param>
    /// <param name="divergence">The divergence of the answer's step.</param>
    /// <param name="setting">Returns the value of one of the loss's settings.</param>
    /// <exception cref="InputException">The loss compares two answers.</exception>
    public virtual SideTerm Judge(SequenceScore side, bool isGood, double divergence, Func<string, double> setting) =>
        throw new InputException($"{Name} compares two answers, expected pairs and no labels");

    /// <inheritdoc/>
    internal sealed override StepLoss Begin(CausalLanguageModel model, IReadOnlyDictionary<string, double> settings) =>
        new PairStepLoss(model, this, settings);
}
