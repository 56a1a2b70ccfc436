using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Objectives;

namespace Spectral.Training;

/// <summary>
/// Measures loss, perplexity and exact match of a model on records, and the accuracy of its answers to questions.
/// </summary>
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
        ranks ??= RankGroup.Alone;
        if (model.Config.Classifier is not null)
            return ClassificationEvaluator.Evaluate(model, records, batch, progress, cancellation, ranks);
        ScoreSum sum = new();
        Score(model, records, batch, exactMatch, progress, packTo, _ => sum, cancellation, ranks);
        double[] sums = sum.Values;
        ranks.Sum(sums);
        return ScoreSum.ResultOf(sums, records.Count);
    }

    /// <summary>
    /// Measures records of which each names one of several adapters. Those whose adapters can run beside others go
    /// through the model in common batches, the others adapter by adapter.
    /// </summary>
    /// <param name="model">The model to which the adapters are attached.</param>
    /// <param name="adapters">The adapters.</param>
    /// <param name="records">The records to score; those that name no adapter are for the base.</param>
    /// <param name="batch">
    /// The number of records, or of packed sequences, per forward pass. It affects results only by rounding.
    /// </param>
    /// <param name="exactMatch">Whether to measure exact match.</param>
    /// <param name="progress">Receives the number of records done.</param>
    /// <param name="packTo">The number of tokens of packed sequences; null: none are packed.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="InputException">A record names an adapter that there is not.</exception>
    public static AdapterScores Evaluate(
        CausalLanguageModel model,
        AdapterSet adapters,
        IReadOnlyList<EncodedRecord> records,
        int batch = 8,
        bool exactMatch = true,
        IProgress<int>? progress = null,
        int? packTo = null,
        CancellationToken cancellation = default
    )
    {
        var sums = adapters.Names.ToDictionary(name => name, _ => new ScoreSum());
        ScoreSum baseAlone = new();
        int done = 0;
        ILookup<string?, EncodedRecord> lone = records.ToLookup(record =>
            record.Adapter is { } name && adapters.WhyAlone(name) is not null ? name : null
        );
        foreach (IGrouping<string?, EncodedRecord> part in lone)
        {
            using IDisposable? attached = part.Key is null ? null : adapters.Alone(part.Key);
            ProgressBehind? behind = progress is null ? null : new ProgressBehind(progress, done);
            Score(model, [.. part], batch, exactMatch, behind, packTo, SumOf, cancellation, RankGroup.Alone);
            done += part.Count();
        }
        double[] total = new double[ScoreSum.Count];
        foreach (ScoreSum sum in sums.Values.Append(baseAlone))
        {
            for (int i = 0; i < total.Length; i++)
                total[i] += sum.Values[i];
        }
        return new AdapterScores(
            ScoreSum.ResultOf(total, records.Count),
            [.. sums.Select(pair => (pair.Key, ResultOf(pair.Value)))],
            ResultOf(baseAlone)
        );

        ScoreSum SumOf(EncodedRecord record) => record.Adapter is { } name ? sums[name] : baseAlone;

        static EvaluationResult? ResultOf(ScoreSum sum) =>
            sum.Records == 0 ? null : ScoreSum.ResultOf(sum.Values, sum.Records);
    }

    /// <summary>Runs records through the model and adds the scores of each to the sum that it belongs to.</summary>
    private static void Score(
        CausalLanguageModel model,
        IReadOnlyList<EncodedRecord> records,
        int batch,
        bool exactMatch,
        IProgress<int>? progress,
        int? packTo,
        Func<EncodedRecord, ScoreSum> sumOf,
        CancellationToken cancellation,
        RankGroup ranks
    )
    {
        int[][] rows = packTo is { } length
            ? SequencePacker.Pack(records, length, 0)
            : [.. Enumerable.Range(0, records.Count).Select(record => new[] { record })];
        int done = 0;
        foreach (int[][] chunk in ranks.Share<int[][]>([.. rows.Chunk(batch)]))
        {
            cancellation.ThrowIfCancellationRequested();
            // Rows of one adapter side by side are one product.
            EncodedRecord[][] part =
            [
                .. chunk
                    .Select(row => row.Select(record => records[record]).ToArray())
                    .OrderBy(row => row[0].Adapter, StringComparer.Ordinal),
            ];
            using var tensors = new BatchTensors(
                model.Device,
                packTo is null ? Batch.Create([.. part.Select(row => row[0])]) : Batch.Pack(part)
            );
            using var tape = new Tape(model.Device, records: false);
            using Tensor? predictions = exactMatch
                ? Tensor.Empty(model.Device, tensors.LossTargets.Shape, DType.I32)
                : null;
            using Tensor losses = model.TokenLosses(tape, tensors, predictions: predictions);
            Add(part, tensors.Source, losses.ToArray(), predictions?.ToInt32Array(), sumOf);
            done += part.Sum(row => row.Length);
            progress?.Report(done);
        }

        ChoiceScorer.Score(model, records, batch, sumOf, cancellation, ranks);
    }

    private static void Add(
        EncodedRecord[][] rows,
        Batch batch,
        float[] losses,
        int[]? predictions,
        Func<EncodedRecord, ScoreSum> sumOf
    )
    {
        int next = 0;
        for (int row = 0; row < rows.Length; row++)
        {
            int start = row * batch.Length;
            foreach (EncodedRecord record in rows[row])
            {
                sumOf(record).Add(record, batch.Targets.AsSpan(start), losses, predictions, ref next);
                start += record.Tokens.Length;
            }
        }
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
}
