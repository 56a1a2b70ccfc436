using Spectral.Training.Metrics;
using Spectral.Training.Objectives;

namespace Spectral.Training;

/// <summary>The scores of a model on some records.</summary>
/// <param name="Loss">The mean loss over the loss tokens, or over pairs.</param>
/// <param name="Tokens">The number of loss tokens.</param>
/// <param name="ExactMatch">
/// The share of prompt/completion records whose greedy continuation is the completion and the end token; null if it was
/// not requested or there are no such records.
/// </param>
/// <param name="Records">The number of records.</param>
public sealed record EvaluationResult(double Loss, long Tokens, double? ExactMatch, int Records)
{
    /// <summary>The rewards of pairs, of which the loss is the mean; null: it is the mean over tokens.</summary>
    public PairScores? PairScores { get; init; }

    /// <summary>
    /// Further scores, such as the accuracy of answers to questions; null: the records define none.
    /// </summary>
    public IReadOnlyList<MetricValue>? Metrics { get; init; }

    /// <summary>Whether the loss is the mean over classes or numbers, and <see cref="Tokens"/> says how many.</summary>
    public bool IsOfLabels { get; init; }

    /// <summary>Whether the loss is one of tokens, which has a perplexity.</summary>
    public bool HasPerplexity => PairScores is null && !IsOfLabels;

    /// <summary>The perplexity, e to the power of the loss, which is one of tokens.</summary>
    public double Perplexity => Math.Exp(Loss);
}
