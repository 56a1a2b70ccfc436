using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

namespace Spectral.Training;

/// <summary>
/// Encodes texts with labels for a model with a head for classes or a number: with the tokens that the post-processor
/// puts around one text or two, and the label at the token that the head reads. Of words each has its label at its
/// first token. What is too long loses tokens at its end, of two texts the longer one first.
/// </summary>
public static class ClassificationEncoder
{
    /// <summary>Encodes all records in order.</summary>
    /// <param name="records">The records, of the format <c>classification</c>.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="model">The config of the model, which has a head for classes or a number.</param>
    /// <param name="maximumLength">The largest number of tokens of a record.</param>
    /// <exception cref="InputException">
    /// A record has no such label, or other parts than the head takes; the message names the first such record.
    /// </exception>
    public static EncodedRecord[] EncodeAll(
        IReadOnlyList<TrainingRecord> records,
        BpeTokenizer tokenizer,
        ModelConfig model,
        int maximumLength
    ) => [.. records.Select(record => Encode(record, tokenizer, model, maximumLength))];

    /// <summary>Encodes the text of one record, and its labels as targets of the model's head.</summary>
    /// <inheritdoc cref="EncodeAll"/>
    /// <param name="record">The record.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="model">The config of the model.</param>
    /// <param name="maximumLength">The largest number of tokens.</param>
    public static EncodedRecord Encode(
        TrainingRecord record,
        BpeTokenizer tokenizer,
        ModelConfig model,
        int maximumLength
    )
    {
        ClassifierConfig classifier =
            model.Classifier
            ?? throw new ArgumentException("the model predicts tokens, expected a head", nameof(model));
        ClassifiedText text =
            record.Classified ?? throw new InputException($"{record.Place}: no label, expected text and label");
        bool ofWords = classifier.Kind == ClassifierKind.Tokens;
        if (text.Words is null == ofWords)
        {
            throw new InputException(
                ofWords
                    ? $"{record.Place}: a text with a label, expected tokens and labels for a model of words"
                    : $"{record.Place}: tokens with labels, expected text and label for a model of texts"
            );
        }

        EncodedRecord encoded = ofWords
            ? OfWords(text, tokenizer, classifier, maximumLength, record.Place)
            : OfText(text, tokenizer, model, maximumLength, record.Place);
        return encoded with { GivesNumber = classifier.IsRegression, Adapter = record.Adapter };
    }

    private static EncodedRecord OfText(
        ClassifiedText text,
        BpeTokenizer tokenizer,
        ModelConfig model,
        int maximumLength,
        string place
    )
    {
        PostProcessor around = tokenizer.Around;
        int[] first = tokenizer.Encode(text.Text!, addSpecialTokens: false);
        int[] second = text.Second is null ? [] : tokenizer.Encode(text.Second, addSpecialTokens: false);
        IReadOnlyList<int> between = text.Second is null ? [] : around.Between ?? throw NoPairs(place);
        IReadOnlyList<int> suffix = text.Second is null ? around.Suffix : around.PairSuffix;
        int room = maximumLength - around.Prefix.Count - between.Count - suffix.Count;
        int excess = Math.Max(0, first.Length + second.Length - Math.Max(1, room));
        (int fromFirst, int fromSecond) = Shares(first.Length, second.Length, excess);
        int[] head = [.. around.Prefix, .. first[..^fromFirst], .. between];
        int[] tokens = [.. head, .. second[..^fromSecond], .. suffix];
        if (tokens.Length == 0)
            throw new InputException($"{place}: no tokens, expected a text that is not empty");
        int reads = model.ClassifierLayout!.ReadsLast ? tokens.Length - 1 : 0;
        return new EncodedRecord(tokens, tokens.Length, tokens.Length, excess > 0)
        {
            SecondText = text.Second is null ? 0 : head.Length,
            Labels = [LabelOf(text.Labels[0], reads, model.Classifier!, place)],
        };
    }

    private static EncodedRecord OfWords(
        ClassifiedText text,
        BpeTokenizer tokenizer,
        ClassifierConfig classifier,
        int maximumLength,
        string place
    )
    {
        PostProcessor around = tokenizer.Around;
        List<int> tokens = [.. around.Prefix];
        List<TokenLabel> labels = [];
        int most = maximumLength - around.Suffix.Count;
        bool cut = false;
        for (int word = 0; word < text.Words!.Count && !cut; word++)
        {
            // A word in a text has a space before it, which most kinds of tokenizers drop or need.
            int[] own = tokenizer.Encode(" " + text.Words[word], addSpecialTokens: false);
            cut = tokens.Count + own.Length > most;
            if (cut || own.Length == 0)
                continue;
            labels.Add(LabelOf(text.Labels[word], tokens.Count, classifier, place));
            tokens.AddRange(own);
        }

        tokens.AddRange(around.Suffix);
        return labels.Count > 0
            ? new EncodedRecord([.. tokens], tokens.Count, tokens.Count, cut) { Labels = labels }
            : throw new InputException($"{place}: no words with tokens, expected at least one");
    }

    private static TokenLabel LabelOf(ClassLabel label, int at, ClassifierConfig classifier, string place)
    {
        if (classifier.IsRegression)
        {
            return label.Name is null
                ? new TokenLabel(at, 0, (float)label.Number)
                : throw new InputException(
                    $"{place}: label {InputText.Quote(label.Name)}, expected the number that the model should give"
                );
        }

        IReadOnlyList<string> names = classifier.Labels;
        int found = label.Name is { } name ? names.ToList().IndexOf(name) : NumberOf(label.Number, names.Count);
        return found >= 0
            ? new TokenLabel(at, found)
            : throw new InputException(
                FormattableString.Invariant($"{place}: label ")
                    + (
                        label.Name is null
                            ? FormattableString.Invariant($"{label.Number}")
                            : InputText.Quote(label.Name)
                    )
                    + $", expected 0 to {names.Count - 1} or one of "
                    + string.Join(", ", names.Take(10).Select(known => InputText.Quote(known)))
                    + (names.Count > 10 ? ", …" : "")
            );
    }

    private static int NumberOf(double number, int classes) =>
        number >= 0 && number < classes && number == Math.Floor(number) ? (int)number : -1;

    /// <summary>Shares out the tokens to cut: of the longer text while it is longer, then of both in turn.</summary>
    private static (int First, int Second) Shares(int first, int second, int excess)
    {
        (int fromFirst, int fromSecond) = (0, 0);
        for (; excess > 0; excess--)
        {
            if (first - fromFirst > second - fromSecond)
                fromFirst++;
            else
                fromSecond++;
        }

        return (fromFirst, fromSecond);
    }

    private static InputException NoPairs(string place) =>
        new($"{place}: two texts, expected one: the post_processor of tokenizer.json has no template for pairs");
}
