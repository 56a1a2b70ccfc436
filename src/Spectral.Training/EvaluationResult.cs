namespace Spectral.Training;

/// <summary>What a model scores on records.</summary>
/// <param name="Loss">Mean loss over the loss tokens.</param>
/// <param name="Tokens">Number of loss tokens.</param>
/// <param name="ExactMatch">
/// Share of prompt/completion records whose greedy continuation is the completion and the end token; null when not
/// asked for or there are none.
/// </param>
/// <param name="Records">Number of records.</param>
public sealed record EvaluationResult(double Loss, long Tokens, double? ExactMatch, int Records)
{
    /// <summary>e to the loss.</summary>
    public double Perplexity => Math.Exp(Loss);
}
