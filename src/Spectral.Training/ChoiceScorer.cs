using Spectral.Kernels;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Distributed;
using Spectral.Training.Models;

namespace Spectral.Training;

/// <summary>
/// Answers questions by the likelihood of their choices, as the Language Model Evaluation Harness does (Gao et al.,
/// 2021): the choice whose tokens have the largest sum of log-probabilities (its <c>acc</c>), and the one whose sum
/// divided by its characters is the largest (its <c>acc_norm</c>). Of equal choices the first counts.
/// </summary>
internal static class ChoiceScorer
{
    /// <summary>Adds the answers to all questions among some records to the sums that these belong to.</summary>
    /// <param name="model">The model, including its adapter if one is attached.</param>
    /// <param name="records">The records; those without choices are left out.</param>
    /// <param name="batch">The number of choices per forward pass.</param>
    /// <param name="sumOf">Returns the sum that a record belongs to.</param>
    /// <param name="cancellation">Checked between batches.</param>
    /// <param name="ranks">The processes that share the questions.</param>
    public static void Score(
        CausalLanguageModel model,
        IReadOnlyList<EncodedRecord> records,
        int batch,
        Func<EncodedRecord, ScoreSum> sumOf,
        CancellationToken cancellation,
        RankGroup ranks
    )
    {
        EncodedRecord[] questions = [.. records.Where(record => record.Choices is not null)];
        EncodedRecord[] own = [.. ranks.Share<EncodedRecord>(questions)];
        double[] likelihoods =
        [
            .. own.SelectMany(question => question.Choices!.Select(choice => choice.Record))
                .Chunk(batch)
                .SelectMany(rows =>
                {
                    cancellation.ThrowIfCancellationRequested();
                    return Likelihoods(model, rows);
                }),
        ];
        int next = 0;
        foreach (EncodedRecord question in own)
        {
            ReadOnlySpan<double> sums = likelihoods.AsSpan(next, question.Choices!.Count);
            next += sums.Length;
            double[] means = new double[sums.Length];
            for (int choice = 0; choice < means.Length; choice++)
                means[choice] = sums[choice] / question.Choices[choice].Characters;
            sumOf(question).AddChoice(Best(sums) == question.Answer, Best(means) == question.Answer);
        }
    }

    /// <summary>Returns the sum of the log-probabilities of the tokens of each record that carry loss.</summary>
    private static double[] Likelihoods(CausalLanguageModel model, EncodedRecord[] rows)
    {
        using var tensors = new BatchTensors(model.Device, Batch.Create(rows));
        using var tape = new Tape(model.Device, records: false);
        using Tensor losses = model.TokenLosses(tape, tensors);
        float[] values = losses.ToArray();
        double[] sums = new double[rows.Length];
        int next = 0;
        for (int row = 0; row < rows.Length; row++)
        {
            for (int count = rows[row].LossTokens; count > 0; count--)
                sums[row] -= values[next++];
        }

        return sums;
    }

    // A choice that is not a number is never the best.
    private static int Best(ReadOnlySpan<double> values)
    {
        (int best, double most) = (-1, double.NegativeInfinity);
        for (int i = 0; i < values.Length; i++)
        {
            if (values[i] > most)
                (best, most) = (i, values[i]);
        }

        return best;
    }
}
