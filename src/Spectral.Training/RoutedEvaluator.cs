using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Metrics;
using Spectral.Training.Models;
using Spectral.Training.Routing;

namespace Spectral.Training;

/// <summary>Measures several experts of a base on records, each with the expert that its prompt chooses.</summary>
public static class RoutedEvaluator
{
    /// <summary>Scores all records, those of one expert together, so that each is loaded once at most.</summary>
    /// <param name="model">The base, without an adapter. An expert at a time is attached to it.</param>
    /// <param name="experts">The experts.</param>
    /// <param name="records">The records to score.</param>
    /// <param name="batch">
    /// The number of records, or of packed sequences, per forward pass. It affects results only by rounding.
    /// </param>
    /// <param name="exactMatch">Whether to measure exact match.</param>
    /// <param name="progress">Receives the number of records done.</param>
    /// <param name="packTo">
    /// The number of tokens of the sequences that records are joined to; null: each is a row of its own.
    /// </param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <exception cref="InputException">An expert is malformed or of another base.</exception>
    public static RoutedEvaluation Evaluate(
        CausalLanguageModel model,
        ExpertFolder experts,
        IReadOnlyList<EncodedRecord> records,
        int batch = 8,
        bool exactMatch = true,
        IProgress<int>? progress = null,
        int? packTo = null,
        CancellationToken cancellation = default
    )
    {
        int[] chosen = experts.Choose(model, records, batch, cancellation);
        List<(Expert, EvaluationResult?)> results = [];
        Total total = new();
        for (int i = 0; i < experts.Experts.Count; i++)
        {
            EncodedRecord[] own = [.. records.Where((_, record) => chosen[record] == i)];
            if (own.Length == 0)
            {
                results.Add((experts.Experts[i], null));
                continue;
            }

            using var adapter = Adapter.Load(model, experts.Experts[i].Directory);
            ProgressBehind? behind = progress is null ? null : new ProgressBehind(progress, total.Records);
            EvaluationResult result = Evaluator.Evaluate(model, own, batch, exactMatch, behind, packTo, cancellation);
            total.Add(
                result,
                own.Count(record => record.HasCompletion),
                own.Count(record => record.Choices is not null)
            );
            results.Add((experts.Experts[i], result));
        }
        return new RoutedEvaluation(total.Result, results);
    }

    /// <summary>The scores of several sets of records, from their means.</summary>
    private sealed class Total
    {
        private double _loss;
        private long _tokens;
        private double _matches;
        private int _candidates;
        private readonly Dictionary<string, double> _metrics = [];
        private int _questions;

        public int Records { get; private set; }

        public EvaluationResult Result =>
            new(_tokens == 0 ? 0 : _loss / _tokens, _tokens, _candidates == 0 ? null : _matches / _candidates, Records)
            {
                Metrics =
                    _questions == 0
                        ? null
                        : [.. _metrics.Select(metric => new MetricValue(metric.Key, metric.Value / _questions))],
            };

        public void Add(EvaluationResult part, int candidates, int questions)
        {
            _loss += part.Loss * part.Tokens;
            _tokens += part.Tokens;
            Records += part.Records;
            _questions += questions;
            foreach (MetricValue metric in part.Metrics ?? [])
                _metrics[metric.Name] = _metrics.GetValueOrDefault(metric.Name) + metric.Value * questions;
            if (part.ExactMatch is not { } match)
                return;
            _matches += match * candidates;
            _candidates += candidates;
        }
    }
}
