using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Training;

/// <summary>Measures loss, perplexity and exact match of a model on records.</summary>
public static class Evaluator
{
    /// <summary>Scores all records with one forward pass per batch.</summary>
    /// <remarks>
    /// The greedy continuation of a prompt equals the completion exactly if, after each true prefix of it, the most
    /// probable next token is the true one, because up to the first difference both have the same prefix. So the
    /// forward pass for the loss also decides the match, and no token-by-token decoding is needed.
    /// </remarks>
    /// <param name="model">The model, including its adapter if one is attached.</param>
    /// <param name="records">The records to score.</param>
    /// <param name="batch">The number of records per forward pass. It affects results only by rounding.</param>
    /// <param name="exactMatch">Whether to measure exact match.</param>
    /// <param name="progress">Receives the number of records done.</param>
    /// <param name="cancellation">Checked between batches.</param>
    public static EvaluationResult Evaluate(
        CausalLanguageModel model,
        IReadOnlyList<EncodedRecord> records,
        int batch = 8,
        bool exactMatch = true,
        IProgress<int>? progress = null,
        CancellationToken cancellation = default
    )
    {
        (double sum, long tokens, int matches, int candidates) = (0.0, 0L, 0, 0);
        for (int start = 0; start < records.Count; start += batch)
        {
            cancellation.ThrowIfCancellationRequested();
            EncodedRecord[] part = [.. records.Skip(start).Take(batch)];
            using var tensors = new BatchTensors(model.Device, Batch.Create(part, 0));
            using var tape = new Tape(model.Device, records: false);
            using Tensor? predictions = exactMatch
                ? Tensor.Empty(model.Device, tensors.LossTargets.Shape, DType.I32)
                : null;
            using Tensor losses = model.TokenLosses(tape, tensors, predictions: predictions);
            foreach (float loss in losses.ToArray())
                sum += loss;
            tokens += losses.Count;
            if (predictions is not null)
                CountMatches(part, tensors.Source, predictions.ToInt32Array(), ref matches, ref candidates);
            progress?.Report(start + part.Length);
        }
        return new EvaluationResult(
            tokens == 0 ? 0 : sum / tokens,
            tokens,
            candidates == 0 ? null : (double)matches / candidates,
            records.Count
        );
    }

    private static void CountMatches(
        EncodedRecord[] records,
        Batch batch,
        int[] predictions,
        ref int matches,
        ref int candidates
    )
    {
        int next = 0;
        for (int row = 0; row < records.Length; row++)
        {
            bool match = true;
            foreach (int target in batch.Targets.AsSpan(row * batch.Length, batch.Length))
            {
                if (target >= 0)
                    match &= predictions[next++] == target;
            }

            if (!records[row].HasCompletion)
                continue;
            candidates++;
            matches += match ? 1 : 0;
        }
    }
}
