using Spectral.Training.IO;

namespace Spectral.Training.Data;

/// <summary>Records as one rectangle of token ids, padded on the right.</summary>
/// <param name="Rows">The number of records.</param>
/// <param name="Length">The number of tokens of the longest record.</param>
/// <param name="Tokens">The tokens, [Rows · Length], with the padding token after the end of a record.</param>
/// <param name="Targets">
/// At each position the following token, or the class of the position, if it carries loss, otherwise −1;
/// [Rows · Length].
/// </param>
/// <param name="LossTokens">The number of targets that are not −1.</param>
public sealed record Batch(int Rows, int Length, int[] Tokens, int[] Targets, int LossTokens)
{
    /// <summary>The number of tokens that are not padding.</summary>
    public int TokenCount { get; private init; }

    /// <summary>Whether each position holds a token, not padding; null: all do.</summary>
    internal bool[]? IsReal { get; private init; }

    /// <summary>
    /// For each position the first position of its record in the row, and the one after its last, [Rows · Length · 2];
    /// null: a row has one record. A position of padding is a record of its own.
    /// </summary>
    public int[]? Spans { get; private init; }

    /// <summary>The number of tokens of the longest record, to which positions of packed rows reach.</summary>
    public int LongestRecord { get; private init; }

    /// <summary>The number of tokens of the record of each position, 0 for padding; [Rows · Length].</summary>
    internal int[] RecordLengths { get; private init; } = [];

    /// <summary>
    /// The number of tokens of the prompt of the record of each position, all of its tokens where it has no completion;
    /// [Rows · Length].
    /// </summary>
    internal int[] PromptLengths { get; private init; } = [];

    /// <summary>
    /// At each position with a target the number that a model should give there, [Rows · Length]; null: targets are
    /// classes or tokens.
    /// </summary>
    public float[]? Values { get; private init; }

    /// <summary>
    /// The kind of each token, 1 for those of a second text and 0 for others, [Rows · Length]; null: there is no second
    /// text.
    /// </summary>
    internal int[]? Types { get; private init; }

    /// <summary>
    /// The pairs whose chosen sides are the first rows and whose rejected sides are the others, in the same order, or
    /// single answers with labels, good ones first; null: rows are records.
    /// </summary>
    public IReadOnlyList<EncodedRecord>? Pairs { get; private init; }

    /// <summary>
    /// The positions in Rows · Length that are for the same adapter, in order; those of the base are left out.
    /// </summary>
    internal IReadOnlyList<AdapterSpan> AdapterSpans { get; private init; } = [];

    /// <summary>Creates a batch of one row of tokens without targets, for generation.</summary>
    public static Batch Of(int[] tokens)
    {
        int[] targets = new int[tokens.Length];
        Array.Fill(targets, -1);
        int[] lengths = new int[tokens.Length];
        Array.Fill(lengths, tokens.Length);
        return new Batch(1, tokens.Length, tokens, targets, 0)
        {
            TokenCount = tokens.Length,
            LongestRecord = tokens.Length,
            RecordLengths = lengths,
            PromptLengths = lengths,
        };
    }

    /// <summary>Creates a batch of rows of tokens without targets, padded on the right, for generation.</summary>
    /// <param name="rows">The tokens of each row, at least one.</param>
    /// <param name="adapters">The name of the adapter of each row, null for the base.</param>
    internal static Batch Of(IReadOnlyList<int[]> rows, IReadOnlyList<string?> adapters) =>
        Create([
            .. rows.Zip(
                adapters,
                (row, adapter) => new EncodedRecord(row, row.Length, row.Length, false) { Adapter = adapter }
            ),
        ]);

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
        var alone = new EncodedRecord[records.Length][];
        for (int i = 0; i < alone.Length; i++)
            alone[i] = [records[i]];
        return Join(alone, paddingToken, length, rows, spans: alone.Any(row => row[0].Labels is not null));
    }

    /// <summary>
    /// Creates a batch of pairs, or of single answers with labels: a row for each chosen side or good answer, then one
    /// for each rejected side or bad answer.
    /// </summary>
    /// <param name="pairs">The records, each with its rejected side or a label.</param>
    /// <param name="paddingToken">Any token.</param>
    /// <exception cref="ArgumentException">A record has neither a rejected side nor a label.</exception>
    public static Batch CreatePairs(IReadOnlyList<EncodedRecord> pairs, int paddingToken = 0)
    {
        for (int i = 0; i < pairs.Count; i++)
        {
            if (pairs[i].Rejected is null && pairs[i].Label is null)
                throw new ArgumentException($"record {i} has no rejected side, expected pairs", nameof(pairs));
        }
        return Create([.. Sides(pairs)], paddingToken) with { Pairs = pairs };
    }

    /// <summary>Returns the records of the rows of <see cref="CreatePairs"/>.</summary>
    internal static IEnumerable<EncodedRecord> Sides(IReadOnlyList<EncodedRecord> pairs) =>
        pairs.Select(pair => pair.ChosenSide).Concat(pairs.Select(pair => pair.RejectedSide)).OfType<EncodedRecord>();

    /// <summary>
    /// Creates a batch of rows that have several records each. Nothing is put between the records of a row, which do
    /// not see each other, and whose positions each begin at 0.
    /// </summary>
    /// <param name="sequences">The records of each row, as <see cref="SequencePacker"/> joins them.</param>
    /// <param name="paddingToken">Any token.</param>
    /// <param name="length">The number of tokens of every row; 0: that of the longest row.</param>
    /// <param name="rows">The number of rows; 0: as many as sequences.</param>
    /// <param name="longest">The least value of <see cref="LongestRecord"/>.</param>
    /// <exception cref="ArgumentException">
    /// A row is longer than <paramref name="length"/>, or there are more than <paramref name="rows"/>.
    /// </exception>
    public static Batch Pack(
        IReadOnlyList<EncodedRecord[]> sequences,
        int paddingToken = 0,
        int length = 0,
        int rows = 0,
        int longest = 0
    )
    {
        Batch batch = Join(sequences, paddingToken, length, rows, spans: true);
        return batch with { LongestRecord = Math.Max(longest, batch.LongestRecord) };
    }

    private static Batch Join(
        IReadOnlyList<EncodedRecord[]> sequences,
        int paddingToken,
        int length,
        int rows,
        bool spans
    )
    {
        if (rows > 0 && sequences.Count > rows)
            throw new ArgumentException($"{sequences.Count} records in a batch of {rows} rows", nameof(rows));
        rows = Math.Max(rows, sequences.Count);
        int longest = sequences.Count == 0 ? 0 : sequences.Max(Tokens);
        if (length > 0 && longest > length)
            throw new ArgumentException($"a record of {longest} tokens in a batch of rows of {length}", nameof(length));
        length = Math.Max(length, longest);
        int[] tokens = new int[checked(rows * length)];
        int[] targets = new int[tokens.Length];
        int[] lengths = new int[tokens.Length];
        int[] prompts = new int[tokens.Length];
        EncodedRecord[] records = [.. sequences.SelectMany(row => row)];
        float[]? values = records.Any(record => record.GivesNumber) ? new float[tokens.Length] : null;
        int[]? types = records.Any(record => record.SecondText > 0) ? new int[tokens.Length] : null;
        List<AdapterSpan> adapters = [];
        Array.Fill(tokens, paddingToken);
        Array.Fill(targets, -1);
        for (int row = 0; row < sequences.Count; row++)
        {
            int start = row * length;
            foreach (EncodedRecord record in sequences[row])
            {
                Place(record, start);
                AdapterSpan.Add(adapters, record.Adapter, start, spans ? record.Tokens.Length : length);
                start += record.Tokens.Length;
            }
        }
        return new Batch(rows, length, tokens, targets, sequences.Sum(row => row.Sum(record => record.LossTokens)))
        {
            TokenCount = sequences.Sum(Tokens),
            LongestRecord = sequences.Max(row => row.Max(record => (int?)record.Tokens.Length)) ?? 0,
            RecordLengths = lengths,
            PromptLengths = prompts,
            IsReal = Array.ConvertAll(lengths, count => count > 0),
            Spans = spans ? SpansOf(lengths, length) : null,
            AdapterSpans = adapters,
            Values = values,
            Types = types,
        };

        static int Tokens(EncodedRecord[] row) => row.Sum(record => record.Tokens.Length);

        void Place(EncodedRecord record, int start)
        {
            record.Tokens.CopyTo(tokens, start);
            Array.Fill(lengths, record.Tokens.Length, start, record.Tokens.Length);
            bool hasPrompt = record.HasCompletion || record.LossFrom > 1;
            int prompt = hasPrompt ? record.PromptLength : record.Tokens.Length;
            Array.Fill(prompts, Math.Clamp(prompt, 1, record.Tokens.Length), start, record.Tokens.Length);
            if (record.SecondText > 0)
                Array.Fill(types!, 1, start + record.SecondText, record.Tokens.Length - record.SecondText);
            if (record.Labels is { } labels)
            {
                foreach (TokenLabel label in labels)
                {
                    targets[start + label.Position] = label.Class;
                    if (values is not null)
                        values[start + label.Position] = label.Value;
                }

                return;
            }

            for (int at = record.LossFrom; at < record.Tokens.Length; at++)
            {
                if (record.Learns is null || record.Learns[at])
                    targets[start + at - 1] = record.Tokens[at];
            }
        }
    }

    private static int[] SpansOf(int[] lengths, int row)
    {
        int[] spans = new int[2 * lengths.Length];
        for (int at = 0; at < lengths.Length; )
        {
            (int first, int count) = (at % row, Math.Max(1, lengths[at]));
            for (int i = 0; i < count; i++, at++)
                (spans[2 * at], spans[2 * at + 1]) = (first, first + count);
        }
        return spans;
    }
}
