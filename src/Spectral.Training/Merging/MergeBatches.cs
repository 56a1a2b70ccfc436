using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>
/// Batches of each list of records of a merge. Every list is a task of its own: a step takes a batch of each, and adds
/// the means of their losses.
/// </summary>
internal sealed class MergeBatches
{
    private readonly MergeRun _run;
    private readonly BatchSampler[] _samplers;

    public MergeBatches(MergeRun run)
    {
        _run = run;
        _samplers =
        [
            .. run.Options.Data.Select(
                (records, i) =>
                    new BatchSampler(records.Count, run.Options.Batch, run.Options.Seed + (ulong)i, shuffle: true)
            ),
        ];
    }

    /// <summary>
    /// Computes the gradients of what trains in a model: of the mean loss of tokens, or of the mean entropy of their
    /// predictions, on the next batch of each list. Returns the sum of the means.
    /// </summary>
    /// <exception cref="InputException">The loss is not finite.</exception>
    public double Differentiate(CausalLanguageModel model, bool ofEntropy)
    {
        model.Trainable!.ClearGradients();
        double sum = 0;
        for (int i = 0; i < _samplers.Length; i++)
        {
            IReadOnlyList<EncodedRecord> records = _run.Options.Data[i];
            EncodedRecord[] batch = [.. _samplers[i].Next().Select(index => records[index])];
            using var tensors = new BatchTensors(_run.Device, Batch.Create(batch));
            using var tape = new Tape(_run.Device);
            float scale = 1f / Math.Max(1, tensors.Source.LossTokens);
            using Tensor losses = ofEntropy
                ? model.TokenEntropies(tape, tensors, scale, checkpoint: true)
                : model.TokenLosses(tape, tensors, scale, checkpoint: true);
            tape.Backward();
            foreach (float loss in losses.ToArray())
                sum += loss * scale;
        }
        return double.IsFinite(sum)
            ? sum
            : throw new InputException($"the loss of the merged model has come to {sum}, expected a finite number");
    }
}
