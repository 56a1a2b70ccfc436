namespace Spectral.Training.Data;

/// <summary>A record as token ids.</summary>
/// <param name="Tokens">Begin token (if the tokenizer adds one), prompt, completion or text, end token.</param>
/// <param name="PromptLength">How many tokens at the front are begin token and prompt: what generation starts
/// from.</param>
/// <param name="LossFrom">Index of the first token that carries loss, at least 1: nothing predicts the first
/// token.</param>
/// <param name="Cut">Whether tokens were cut off to fit the maximum length.</param>
public sealed record EncodedRecord(int[] Tokens, int PromptLength, int LossFrom, bool Cut)
{
    /// <summary>
    /// Whether it is a prompt with a completion, so that a greedy continuation of the prompt can be compared with the
    /// rest.
    /// </summary>
    public bool HasCompletion { get; init; }

    /// <summary>How many tokens carry loss.</summary>
    public int LossTokens => Tokens.Length - LossFrom;
}
