using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.Models;

namespace Spectral.Training.Objectives;

/// <summary>Computes a loss with its gradients for the micro-batches of a step, or of an evaluation.</summary>
internal abstract class StepLoss
{
    /// <summary>Returns how many there are in a batch of what the mean is over: loss tokens, or pairs.</summary>
    public abstract int Count(Batch batch);

    /// <summary>Prepares for the passes over the micro-batches of a step.</summary>
    /// <param name="batches">This rank's micro-batches.</param>
    /// <param name="ranks">The ranks that make the step together, all of which call this.</param>
    public virtual void Begin(IReadOnlyList<Batch> batches, RankGroup ranks) { }

    /// <summary>
    /// Computes the sum of the losses of a micro-batch, [1] F32, and deposits its gradients on a tape that records. The
    /// caller disposes the result.
    /// </summary>
    /// <param name="index">The micro-batch's number in the step.</param>
    /// <param name="tape">The tape.</param>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="checkpoint">Whether to recompute each layer's activations during backward.</param>
    /// <param name="lossScale">A factor on the gradients, [1] F32 on the device; null: 1.</param>
    public abstract Tensor Run(
        int index,
        Tape tape,
        BatchTensors batch,
        bool checkpoint = false,
        Tensor? lossScale = null
    );

    /// <summary>What the pairs of all passes since <see cref="Begin"/> add up to; null without pairs.</summary>
    public virtual PairTotal? Total => null;
}
