using Spectral.Kernels;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.Metrics;
using Spectral.Training.Models;

namespace Spectral.Training;

/// <summary>
/// Measures a model with a head for classes or a number: its loss, and accuracy, F1 and Matthews correlation of
/// classes, or Pearson and Spearman correlation of numbers.
/// </summary>
internal static class ClassificationEvaluator
{
    /// <summary>Scores all records with one forward pass per batch.</summary>
    /// <param name="model">The model, including its adapter if one is attached.</param>
    /// <param name="records">The records, each with labels.</param>
    /// <param name="batch">The number of records per forward pass.</param>
    /// <param name="progress">Receives the number of records done.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <param name="ranks">The processes that share the records.</param>
    public static EvaluationResult Evaluate(
        CausalLanguageModel model,
        IReadOnlyList<EncodedRecord> records,
        int batch,
        IProgress<int>? progress,
        CancellationToken cancellation,
        RankGroup ranks
    )
    {
        ClassifierConfig classifier = model.Config.Classifier!;
        TokenLabel[] labels = [.. records.SelectMany(record => record.Labels!)];
        int[] places = new int[records.Count];
        for (int record = 1; record < places.Length; record++)
            places[record] = places[record - 1] + records[record - 1].Labels!.Count;
        // Each rank fills in its part; the sums are all of them.
        double[] losses = new double[labels.Length];
        double[] given = new double[labels.Length];
        int done = 0;
        int[][] chunks = [.. Enumerable.Range(0, records.Count).Chunk(batch)];
        foreach (int[] chunk in ranks.Share<int[]>(chunks))
        {
            cancellation.ThrowIfCancellationRequested();
            using var tensors = new BatchTensors(
                model.Device,
                Batch.Create([.. chunk.Select(record => records[record])])
            );
            using Tensor outputs = model.Logits(tensors, tensors.LossRows);
            float[] values = outputs.ToArray();
            int width = outputs.Dim(1);
            for (int i = 0; i < tensors.LossRows.Dim(0); i++)
            {
                int at = places[chunk[0]] + i;
                (losses[at], given[at]) = Score(values.AsSpan(i * width, width), labels[at], classifier);
            }

            progress?.Report(done += chunk.Length);
        }

        ranks.Sum(losses);
        ranks.Sum(given);
        return new EvaluationResult(losses.Length == 0 ? 0 : losses.Average(), labels.Length, null, records.Count)
        {
            IsOfLabels = true,
            Metrics = classifier.IsRegression
                ? OfNumbers(Array.ConvertAll(labels, label => (double)label.Value), given)
                : OfClasses(
                    new ConfusionMatrix(
                        Array.ConvertAll(labels, label => label.Class),
                        Array.ConvertAll(given, value => (int)value),
                        classifier.Labels.Count
                    )
                ),
        };
    }

    /// <summary>Returns the loss of an output and what it says: the class of the largest logit, or a number.</summary>
    private static (double Loss, double Given) Score(
        ReadOnlySpan<float> output,
        TokenLabel label,
        ClassifierConfig classifier
    )
    {
        if (classifier.IsRegression)
        {
            double difference = (double)output[0] - label.Value;
            return (difference * difference, output[0]);
        }

        int best = 0;
        for (int i = 1; i < output.Length; i++)
            best = output[i] > output[best] ? i : best;
        double sum = 0;
        foreach (float logit in output)
            sum += Math.Exp((double)logit - output[best]);
        return (Math.Log(sum) + output[best] - output[label.Class], best);
    }

    private static MetricValue[] OfClasses(ConfusionMatrix counts) =>
        [
            new("accuracy", Accuracy.Of(counts)),
            .. counts.Classes == 2 ? [new MetricValue("f1", F1Score.Of(counts))] : Array.Empty<MetricValue>(),
            new("f1_macro", F1Score.Macro(counts)),
            new("matthews_correlation", MatthewsCorrelation.Of(counts)),
        ];

    private static MetricValue[] OfNumbers(double[] expected, double[] given) =>
        [
            new("pearson", PearsonCorrelation.Of(expected, given)),
            new("spearman", SpearmanCorrelation.Of(expected, given)),
        ];
}
