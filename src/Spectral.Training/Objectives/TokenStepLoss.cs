using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Training.Objectives;

/// <summary>The cross-entropy of each token that carries loss.</summary>
internal sealed class TokenStepLoss(CausalLanguageModel model) : StepLoss
{
    /// <inheritdoc/>
    public override int Count(Batch batch) => batch.LossTokens;

    /// <inheritdoc/>
    public override Tensor Run(int index, Tape tape, BatchTensors batch, bool checkpoint, Tensor? lossScale) =>
        model.Loss(tape, batch, 1, checkpoint, lossScale);
}
