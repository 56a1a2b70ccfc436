using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Objectives;

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
    /// <param name="batch">
    /// The number of records, or of packed sequences, per forward pass. It affects results only by rounding.
    /// </param>
    /// <param name="exactMatch">Whether to measure exact match.</param>
    /// <param name="progress">Receives the number of records done.</param>
    /// <param name="packTo">
    /// The number of tokens of the sequences that records are joined to; null: each is a row of its own. It affects
    /// results only by rounding.
    /// </param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <param name="ranks">
    /// The processes that share the records, all of which get the scores of all; null: this one alone.
    /// </param>
    public static EvaluationResult Evaluate(
        CausalLanguageModel model,
        IReadOnlyList<EncodedRecord> records,
        int batch = 8,
        bool exactMatch = true,
        IProgress<int>? progress = null,
        int? packTo = null,
        CancellationToken cancellation = default,
        RankGroup? ranks = null
    )
    {
        int[][] rows = packTo is { } length
            ? SequencePacker.Pack(records, length, 0)
            : [.. Enumerable.Range(0, records.Count).Select(record => new[] { record })];
        int done = 0;
        (double sum, long tokens, int matches, int candidates) = (0.0, 0L, 0, 0);
        ranks ??= RankGroup.Alone;
        foreach (int[][] chunk in ranks.Share<int[][]>([.. rows.Chunk(batch)]))
        {
            cancellation.ThrowIfCancellationRequested();
            EncodedRecord[][] part = [.. chunk.Select(row => row.Select(record => records[record]).ToArray())];
            using var tensors = new BatchTensors(
                model.Device,
                packTo is null ? Batch.Create([.. part.Select(row => row[0])]) : Batch.Pack(part)
            );
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
            done += part.Sum(row => row.Length);
            progress?.Report(done);
        }
        Span<double> sums = [sum, tokens, matches, candidates];
        ranks.Sum(sums);
        return new EvaluationResult(
            sums[1] == 0 ? 0 : sums[0] / sums[1],
            (long)sums[1],
            sums[3] == 0 ? null : sums[2] / sums[3],
            records.Count
        );
    }

    /// <summary>Measures a loss on records, or on pairs if the loss takes pairs.</summary>
    /// <param name="model">The model, including its adapter if one is attached.</param>
    /// <param name="records">The records to score.</param>
    /// <param name="loss">The loss.</param>
    /// <param name="batch">
    /// The number of records, of packed sequences or of pairs per forward pass. It affects results only by rounding,
    /// except KTO's, whose divergence is that of each batch.
    /// </param>
    /// <param name="progress">Receives the number of records done.</param>
    /// <param name="packTo">The number of tokens of packed sequences; null: none are packed.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <param name="ranks">
    /// The processes that share the records, all of which get the scores of all; null: this one alone.
    /// </param>
    /// <exception cref="InputException">There is no such loss, or its settings are not valid.</exception>
    /// <exception cref="ArgumentException">The loss takes pairs, and a record is none.</exception>
    public static EvaluationResult Evaluate(
        CausalLanguageModel model,
        IReadOnlyList<EncodedRecord> records,
        LossChoice loss,
        int batch = 8,
        IProgress<int>? progress = null,
        int? packTo = null,
        CancellationToken cancellation = default,
        RankGroup? ranks = null
    )
    {
        LossMethod method = LossMethods.Find(loss.Name);
        method.Check(loss.Settings);
        return method.TakesPairs
            ? PairEvaluator.Evaluate(
                model,
                records,
                method.Begin(model, loss.Settings),
                batch,
                progress,
                cancellation,
                ranks ?? RankGroup.Alone
            )
            : Evaluate(model, records, batch, exactMatch: true, progress, packTo, cancellation, ranks);
    }

    private static void CountMatches(
        EncodedRecord[][] rows,
        Batch batch,
        int[] predictions,
        ref int matches,
        ref int candidates
    )
    {
        int next = 0;
        for (int row = 0; row < rows.Length; row++)
        {
            int start = row * batch.Length;
            foreach (EncodedRecord record in rows[row])
            {
                bool match = true;
                for (int at = 1; at < record.Tokens.Length; at++)
                {
                    int target = batch.Targets[start + at - 1];
                    if (target >= 0)
                    {
                        match &=
                            predictions[next++] == target || at < record.LastTurn.From || at >= record.LastTurn.End;
                    }
                }

                start += record.Tokens.Length;
                if (!record.HasCompletion)
                    continue;
                candidates++;
                matches += match ? 1 : 0;
            }
        }
    }
}
