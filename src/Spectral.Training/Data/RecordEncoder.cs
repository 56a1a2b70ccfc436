using Spectral.Training.Chat;
using Spectral.Training.IO;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Data;

/// <summary>
/// Encodes records as tokens. A prompt is the text from which generation would start, and its completion the text that
/// would follow. The end token is appended to every record that does not end with one. A begin token is put first if
/// the tokenizer's post-processor does so and the text does not begin with it. A record that is too long loses tokens
/// on the left, but not the begin token: first those of the prompt, then those of the completion, so that the end is
/// always learnt. Each side of a pair is encoded as a record of its own. docs/data.md has examples.
/// </summary>
public static class RecordEncoder
{
    /// <summary>Encodes one record to at most <paramref name="maximumLength"/> tokens.</summary>
    /// <param name="record">The record to encode.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="endTokenIds">
    /// The end tokens. The first one is appended to records that do not end with any of them.
    /// </param>
    /// <param name="maximumLength">The largest number of tokens.</param>
    /// <exception cref="InputException">No token would carry loss, as in an empty text.</exception>
    public static EncodedRecord Encode(
        TrainingRecord record,
        BpeTokenizer tokenizer,
        IReadOnlyList<int> endTokenIds,
        int maximumLength
    ) => EncodeSides(record, tokenizer, endTokenIds, maximumLength, chat: null, TrainOn.Assistant);

    /// <summary>Encodes all records, in parallel and in order.</summary>
    /// <inheritdoc cref="Encode"/>
    /// <param name="records">The records to encode.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="endTokenIds">The end tokens.</param>
    /// <param name="maximumLength">The largest number of tokens of a record.</param>
    /// <exception cref="InputException">
    /// A record has no token that carries loss; the message names the first such record of the file.
    /// </exception>
    public static EncodedRecord[] EncodeAll(
        IReadOnlyList<TrainingRecord> records,
        BpeTokenizer tokenizer,
        IReadOnlyList<int> endTokenIds,
        int maximumLength
    ) => EncodeAll(records, tokenizer, endTokenIds, maximumLength, chat: null, TrainOn.Assistant);

    /// <summary>Encodes all records, conversations among them, in parallel and in order.</summary>
    /// <param name="records">The records to encode.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="endTokenIds">The end tokens.</param>
    /// <param name="maximumLength">The largest number of tokens of a record.</param>
    /// <param name="chat">The model's chat templates; null: conversations are refused.</param>
    /// <param name="trainOn">Which tokens of a conversation carry loss.</param>
    /// <exception cref="InputException">
    /// A record has no token that carries loss, or a chat template refuses it; the message names the first such record
    /// of the file.
    /// </exception>
    public static EncodedRecord[] EncodeAll(
        IReadOnlyList<TrainingRecord> records,
        BpeTokenizer tokenizer,
        IReadOnlyList<int> endTokenIds,
        int maximumLength,
        ChatFormat? chat,
        TrainOn trainOn
    )
    {
        var encoded = new EncodedRecord[records.Count];
        var faults = new InputException?[records.Count];
        Parallel.For(
            0,
            records.Count,
            i =>
            {
                try
                {
                    encoded[i] = EncodeSides(records[i], tokenizer, endTokenIds, maximumLength, chat, trainOn);
                }
                catch (InputException e)
                {
                    faults[i] = e;
                }
            }
        );
        return faults.FirstOrDefault(fault => fault is not null) is { } first ? throw first : encoded;
    }

    private static EncodedRecord EncodeSides(
        TrainingRecord record,
        BpeTokenizer tokenizer,
        IReadOnlyList<int> endTokenIds,
        int maximumLength,
        ChatFormat? chat,
        TrainOn trainOn
    )
    {
        EncodedRecord encoded = (record.Chat, chat) switch
        {
            (null, _) => EncodeText(record, tokenizer, endTokenIds, maximumLength),
            ({ } conversation, { } format) => ChatRecordEncoder.Encode(
                conversation,
                tokenizer,
                format,
                endTokenIds,
                trainOn,
                maximumLength,
                record.PromptMessages
            ),
            _ => throw new InputException(
                $"{record.Place}: a conversation (messages), expected a chat template to encode it with, or prompt "
                    + "and completion, or text"
            ),
        };
        encoded = encoded with { Label = record.Label, Adapter = record.Adapter };
        if (record.Choices is { } choices)
        {
            EncodedChoice[] all = [.. choices.Select(choice => EncodeChoice(record, choice, tokenizer, maximumLength))];
            return encoded with
            {
                Choices = all,
                Answer = record.Answer,
                Cut = encoded.Cut || Array.Exists(all, choice => choice.Record.Cut),
            };
        }

        if (record.Rejected is not { } other)
            return encoded;
        EncodedRecord rejected = EncodeSides(other, tokenizer, endTokenIds, maximumLength, chat, trainOn);
        return encoded with { Rejected = rejected, Cut = encoded.Cut || rejected.Cut };
    }

    // No end token follows, so that the likelihood is that of the choice alone.
    private static EncodedChoice EncodeChoice(
        TrainingRecord record,
        string choice,
        BpeTokenizer tokenizer,
        int maximumLength
    ) =>
        new(
            EncodeText(record with { Completion = choice }, tokenizer, [], maximumLength) with
            {
                Adapter = record.Adapter,
            },
            choice.Trim().EnumerateRunes().Count()
        );

    /// <summary>Encodes a text, or a prompt with its completion; without end tokens none is appended.</summary>
    private static EncodedRecord EncodeText(
        TrainingRecord record,
        BpeTokenizer tokenizer,
        IReadOnlyList<int> endTokenIds,
        int maximumLength
    )
    {
        int begin = tokenizer.PrefixIds.Count;
        ArgumentOutOfRangeException.ThrowIfLessThan(maximumLength, begin + 2);
        int[] before = tokenizer.EncodePrompt(record.Prompt ?? "");
        int[] learnt = Learnt(record, tokenizer, before);
        int[] prompt = before[begin..];
        if (endTokenIds.Count > 0 && (learnt.Length == 0 || !endTokenIds.Contains(learnt[^1])))
            learnt = [.. learnt, endTokenIds[0]];
        int excess = Math.Max(0, begin + prompt.Length + learnt.Length - maximumLength);
        int fromPrompt = Math.Min(excess, prompt.Length);
        int[] tokens = [.. tokenizer.PrefixIds, .. prompt.AsSpan(fromPrompt), .. learnt.AsSpan(excess - fromPrompt)];
        int promptLength = begin + prompt.Length - fromPrompt;
        int lossFrom = Math.Max(1, promptLength);
        if (tokens.Length <= lossFrom)
            throw new InputException($"{record.Place}: nothing to learn from, expected text beside the end token");
        return new EncodedRecord(tokens, promptLength, lossFrom, excess > 0)
        {
            HasCompletion = record.Completion is not null,
        };
    }

    // A text, or a completion without a prompt, begins the record and may itself contain the begin token.
    private static int[] Learnt(TrainingRecord record, BpeTokenizer tokenizer, int[] before)
    {
        string text = record.Completion ?? record.Text ?? "";
        return string.IsNullOrEmpty(record.Prompt)
            ? tokenizer.EncodePrompt(text)[tokenizer.PrefixIds.Count..]
            : tokenizer.EncodeContinuation(text, before);
    }
}
