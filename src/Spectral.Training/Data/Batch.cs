using Spectral.Training.IO;

namespace Spectral.Training.Data;

/// <summary>Records as one rectangle of token ids, padded on the right.</summary>
/// <param name="Rows">The number of records.</param>
/// <param name="Length">The number of tokens of the longest record.</param>
/// <param name="Tokens">The tokens, [Rows · Length], with the padding token after the end of a record.</param>
/// <param name="Targets">
/// At each position the following token if it carries loss, otherwise −1; [Rows · Length].
/// </param>
/// <param name="LossTokens">The number of targets that are not −1.</param>
public sealed record Batch(int Rows, int Length, int[] Tokens, int[] Targets, int LossTokens)
{
    /// <summary>The number of tokens that are not padding.</summary>
    public int TokenCount { get; private init; }

    /// <summary>Whether each position holds a token, not padding; null: all do.</summary>
    internal bool[]? IsReal { get; private init; }

    /// <summary>Creates a batch of one row of tokens without targets, for generation.</summary>
    public static Batch Of(int[] tokens)
    {
        int[] targets = new int[tokens.Length];
        Array.Fill(targets, -1);
        return new Batch(1, tokens.Length, tokens, targets, 0) { TokenCount = tokens.Length };
    }

    /// <summary>Checks that every token has a row in an embedding of <paramref name="vocabularySize"/> rows.</summary>
    /// <exception cref="InputException">
    /// A token has no row, so that tokenizer and model do not belong together.
    /// </exception>
    public void CheckIds(int vocabularySize)
    {
        foreach (int id in Tokens)
        {
            if ((uint)id >= (uint)vocabularySize)
            {
                throw new InputException(
                    $"the tokenizer gave the id {id}, the model has a vocabulary of {vocabularySize}; do "
                        + "they belong together?"
                );
            }
        }
    }

    /// <summary>
    /// Creates a batch from records. The choice of the padding token does not matter: nothing attends to it and it
    /// carries no loss.
    /// </summary>
    /// <param name="records">The records, one per row.</param>
    /// <param name="paddingToken">Any token.</param>
    /// <param name="length">The number of tokens of every row; 0: that of the longest record.</param>
    /// <param name="rows">
    /// The number of rows, of which those after the records are all padding; 0: as many as records.
    /// </param>
    /// <exception cref="ArgumentException">
    /// A record is longer than <paramref name="length"/>, or there are more than <paramref name="rows"/>.
    /// </exception>
    public static Batch Create(ReadOnlySpan<EncodedRecord> records, int paddingToken = 0, int length = 0, int rows = 0)
    {
        if (rows > 0 && records.Length > rows)
            throw new ArgumentException($"{records.Length} records in a batch of {rows} rows", nameof(rows));
        rows = Math.Max(rows, records.Length);
        int wanted = length;
        int lossTokens = 0;
        int tokenCount = 0;
        foreach (EncodedRecord record in records)
        {
            length = Math.Max(length, record.Tokens.Length);
            lossTokens += record.LossTokens;
            tokenCount += record.Tokens.Length;
        }
        if (wanted > 0 && length > wanted)
            throw new ArgumentException($"a record of {length} tokens in a batch of rows of {wanted}", nameof(length));
        int[] tokens = new int[checked(rows * length)];
        bool[] isReal = new bool[tokens.Length];
        int[] targets = new int[tokens.Length];
        Array.Fill(tokens, paddingToken);
        Array.Fill(targets, -1);
        for (int row = 0; row < records.Length; row++)
        {
            EncodedRecord record = records[row];
            record.Tokens.CopyTo(tokens, row * length);
            isReal.AsSpan(row * length, record.Tokens.Length).Fill(true);
            for (int at = record.LossFrom; at < record.Tokens.Length; at++)
            {
                if (record.Learns is null || record.Learns[at])
                    targets[(row * length) + at - 1] = record.Tokens[at];
            }
        }
        return new Batch(rows, length, tokens, targets, lossTokens) { TokenCount = tokenCount, IsReal = isReal };
    }
}
