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
    /// Whether the record is a prompt with a completion, or a conversation that ends with a turn of the assistant, so
    /// that a greedy continuation of what is before can be compared with it.
    /// </summary>
    public bool HasCompletion { get; init; }

    /// <summary>
    /// The tokens of a last turn that are compared, all of which carry loss; without one, all that carry loss are.
    /// </summary>
    internal (int From, int End) LastTurn { get; init; } = (0, int.MaxValue);

    /// <summary>
    /// For each token whether it carries loss, for a conversation of several turns; null: all from
    /// <see cref="LossFrom"/> on do.
    /// </summary>
    public IReadOnlyList<bool>? Learns { get; init; }

    /// <summary>
    /// The positions with a class or a number, which a model with a head for these learns; null: tokens are learnt.
    /// </summary>
    public IReadOnlyList<TokenLabel>? Labels { get; init; }

    /// <summary>Whether <see cref="Labels"/> are numbers; otherwise they are classes.</summary>
    public bool GivesNumber { get; init; }

    /// <summary>The place of the first token of a second text; 0: there is none.</summary>
    public int SecondText { get; init; }

    /// <summary>The rejected side of a pair, of which this record is the chosen one; null: it is no pair.</summary>
    public EncodedRecord? Rejected { get; init; }

    /// <summary>
    /// Whether it is a good answer, for losses that judge answers by themselves; null: nothing says so.
    /// </summary>
    public bool? Label { get; init; }

    /// <summary>The choices of a question, one of which this record answers it with; null: it is no question.</summary>
    public IReadOnlyList<EncodedChoice>? Choices { get; init; }

    /// <summary>The number of the answer among <see cref="Choices"/>.</summary>
    public int Answer { get; init; }

    /// <summary>
    /// The name of the adapter that the record is for, where several are attached
    /// (<see cref="Adapters.AdapterSet"/>); null: the base.
    /// </summary>
    public string? Adapter { get; init; }

    /// <summary>The chosen side of a pair, or a good answer; null: it is a bad one.</summary>
    internal EncodedRecord? ChosenSide => Label == false ? null : this;

    /// <summary>The rejected side of a pair, or a bad answer; null: it is a good one.</summary>
    internal EncodedRecord? RejectedSide => Label == false ? this : Rejected;

    /// <summary>The number of tokens of the record, or of the longer side of a pair.</summary>
    internal int Longest => Math.Max(Tokens.Length, Rejected?.Tokens.Length ?? 0);

    /// <summary>The number of tokens that carry loss, or of the side of a pair that has more of them.</summary>
    internal int MostLossTokens => Math.Max(LossTokens, Rejected?.LossTokens ?? 0);

    /// <summary>The number of tokens that carry loss.</summary>
    public int LossTokens => Labels?.Count ?? Learns?.Count(learns => learns) ?? Tokens.Length - LossFrom;
}
