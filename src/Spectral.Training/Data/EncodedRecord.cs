namespace Spectral.Training.Data;

/// <summary>A record as token ids.</summary>
/// <param name="Tokens">
/// The tokens: begin token (if the tokenizer adds one), prompt, completion or text, end token.
/// </param>
/// <param name="PromptLength">
/// The number of leading tokens that are the begin token and the prompt, from which generation starts.
/// </param>
/// <param name="LossFrom">
/// The index of the first token that carries loss, at least 1, because nothing predicts the first token.
/// </param>
/// <param name="Cut">Whether tokens were removed to fit the maximum length.</param>
public sealed record EncodedRecord(int[] Tokens, int PromptLength, int LossFrom, bool Cut)
{
    /// <summary>
    /// Whether the record is a prompt with a completion, so that a greedy continuation of the prompt can be compared
    /// with the completion.
    /// </summary>
    public bool HasCompletion { get; init; }

    /// <summary>
    /// For each token whether it carries loss, for a conversation of several turns; null: all from
    /// <see cref="LossFrom"/> on do.
    /// </summary>
    public IReadOnlyList<bool>? Learns { get; init; }

    /// <summary>The number of tokens that carry loss.</summary>
    public int LossTokens => Learns?.Count(learns => learns) ?? Tokens.Length - LossFrom;
}
