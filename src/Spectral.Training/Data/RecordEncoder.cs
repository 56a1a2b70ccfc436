namespace Spectral.Training;

/// <summary>A record as token ids.</summary>
/// <param name="Tokens">Begin token (if the tokenizer adds one), prompt, completion or text, end token.</param>
/// <param name="PromptLength">How many tokens at the front are begin token and prompt: what generation starts from.</param>
/// <param name="LossFrom">Index of the first token that carries loss, at least 1: nothing predicts the first token.</param>
/// <param name="Cut">Whether tokens were cut off to fit the maximum length.</param>
public sealed record EncodedRecord(int[] Tokens, int PromptLength, int LossFrom, bool Cut)
{
    /// <summary>Whether it is a prompt with a completion, so that a greedy continuation of the prompt can be compared with the rest.</summary>
    public bool HasCompletion { get; init; }

    /// <summary>How many tokens carry loss.</summary>
    public int LossTokens => Tokens.Length - LossFrom;
}

/// <summary>
/// Turns records into tokens. Prompt and completion are encoded separately and joined; the end token closes every record; a begin token
/// is put in front only if the tokenizer's own post-processor does so. A record that is too long loses tokens from the left, the begin
/// token excepted: the prompt's first, and the completion's once the prompt is used up, so that the end is always learnt.
/// </summary>
public static class RecordEncoder
{
    /// <summary>Encodes one record to at most <paramref name="maximumLength"/> tokens.</summary>
    /// <exception cref="InputException">No token would carry loss, as in an empty text.</exception>
    public static EncodedRecord Encode(TrainingRecord record, BpeTokenizer tokenizer, int endTokenId, int maximumLength)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumLength, tokenizer.PrefixIds.Count + 2);
        int[] prompt = record.Prompt is { Length: > 0 } text ? tokenizer.Encode(text, addSpecialTokens: false) : [];
        int[] learnt = [.. tokenizer.Encode(record.Completion ?? record.Text ?? "", addSpecialTokens: false), endTokenId];
        int begin = tokenizer.PrefixIds.Count;
        int excess = Math.Max(0, begin + prompt.Length + learnt.Length - maximumLength);
        int fromPrompt = Math.Min(excess, prompt.Length);
        int[] tokens = [.. tokenizer.PrefixIds, .. prompt.AsSpan(fromPrompt), .. learnt.AsSpan(excess - fromPrompt)];
        int promptLength = begin + prompt.Length - fromPrompt;
        int lossFrom = Math.Max(1, promptLength);
        if (tokens.Length <= lossFrom)
            throw new InputException($"{record.Place}: nothing to learn from, expected text beside the end token");
        return new EncodedRecord(tokens, promptLength, lossFrom, excess > 0) { HasCompletion = record.Completion is not null };
    }

    /// <summary>Encodes all records, in parallel and in order.</summary>
    /// <exception cref="InputException">As for one record; the first faulty record in the file is the one named.</exception>
    public static EncodedRecord[] EncodeAll(IReadOnlyList<TrainingRecord> records, BpeTokenizer tokenizer, int endTokenId,
        int maximumLength)
    {
        EncodedRecord[] encoded = new EncodedRecord[records.Count];
        InputException?[] faults = new InputException?[records.Count];
        Parallel.For(0, records.Count, i =>
        {
            try
            {
                encoded[i] = Encode(records[i], tokenizer, endTokenId, maximumLength);
            }
            catch (InputException e)
            {
                faults[i] = e;
            }
        });
        return faults.FirstOrDefault(fault => fault is not null) is { } first ? throw first : encoded;
    }
}
