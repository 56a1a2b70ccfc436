using System.Runtime.InteropServices;
using Spectral.Training.Chat;
using Spectral.Training.IO;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Data;

/// <summary>
/// Encodes conversations as tokens. The text is what the chat template renders, to which nothing is added. No token
/// crosses a border between what is learnt and what is not. A record that is too long loses tokens on the left.
/// docs/data.md has the rules.
/// </summary>
internal static class ChatRecordEncoder
{
    /// <summary>
    /// Encodes one conversation to at most <paramref name="maximumLength"/> tokens. Its last turn, if it is the
    /// assistant's, is what a greedy continuation is compared with.
    /// </summary>
    /// <param name="conversation">The conversation.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="format">The model's chat templates.</param>
    /// <param name="endTokenIds">The end tokens.</param>
    /// <param name="trainOn">Which tokens carry loss.</param>
    /// <param name="maximumLength">The largest number of tokens.</param>
    /// <param name="promptMessages">
    /// The number of messages that carry no loss, while all after them do; null: <paramref name="trainOn"/> counts.
    /// </param>
    /// <exception cref="InputException">The template refuses it, or no token would carry loss.</exception>
    public static EncodedRecord Encode(
        Conversation conversation,
        BpeTokenizer tokenizer,
        ChatFormat format,
        IReadOnlyList<int> endTokenIds,
        TrainOn trainOn,
        int maximumLength,
        int? promptMessages = null
    )
    {
        RenderedChat chat = format.Render(conversation, conversation.Count, addGenerationPrompt: false);
        IReadOnlyList<(int Start, int End)> learnt = trainOn switch
        {
            _ when promptMessages is { } prompt => [(Start(conversation, format, chat.Text, prompt), chat.Text.Length)],
            TrainOn.All => [(0, chat.Text.Length)],
            TrainOn.Completion => [Completion(conversation, format, chat.Text)],
            _ when chat.Generated.Count > 0 && !chat.HasUnplacedGeneration => chat.Generated,
            _ => Turns(conversation, format, chat.Text),
        };
        List<int> tokens = [];
        List<bool> learns = [];
        (int at, int last) = (0, 0);
        foreach ((int start, int end) in learnt)
        {
            Append(chat.Text[at..start], false);
            last = tokens.Count;
            Append(chat.Text[start..end], true);
            at = end;
        }
        int stop = tokens.Count;
        // A turn that is generated stops at an end token; what a template puts behind it is not.
        if (tokens.FindIndex(last, endTokenIds.Contains) is var token && token >= 0 && token < stop)
            stop = token + 1;
        Append(chat.Text[at..], false);
        int excess = Math.Max(0, tokens.Count - maximumLength);
        tokens.RemoveRange(0, excess);
        learns.RemoveRange(0, excess);
        // Nothing predicts the first token.
        if (learns.Count > 0)
            learns[0] = false;
        int first = learns.IndexOf(true);
        if (first < 0)
        {
            throw new InputException(
                $"{conversation.Place}: nothing to learn from, expected a turn of the assistant within "
                    + $"{maximumLength} tokens"
            );
        }
        var record = new EncodedRecord([.. tokens], first, first, excess > 0) { Learns = [.. learns] };
        (last, stop) = (last - excess, stop - excess);
        return
            trainOn != TrainOn.All
            && conversation.Role(conversation.Count - 1) == "assistant"
            && last > 0
            && last < stop
            ? record with
            {
                PromptLength = last,
                HasCompletion = true,
                LastTurn = (last, stop),
            }
            : record;

        void Append(string text, bool isLearnt)
        {
            if (text.Length == 0)
                return;
            tokens.AddRange(
                tokens.Count == 0
                    ? tokenizer.Encode(text, addSpecialTokens: false)
                    : tokenizer.EncodeContinuation(text, CollectionsMarshal.AsSpan(tokens))
            );
            while (learns.Count < tokens.Count)
                learns.Add(isLearnt);
        }
    }

    private static (int Start, int End) Completion(Conversation conversation, ChatFormat format, string text)
    {
        int last = conversation.Count - 1;
        if (conversation.Role(last) != "assistant")
        {
            throw new InputException(
                $"{conversation.Place}: the last message is of {InputText.Quote(conversation.Role(last))}, expected "
                    + "one of the assistant to learn from"
            );
        }
        return (Start(conversation, format, text, last), text.Length);
    }

    private static List<(int Start, int End)> Turns(Conversation conversation, ChatFormat format, string text)
    {
        List<(int, int)> turns = [];
        for (int i = 0; i < conversation.Count; i++)
        {
            if (conversation.Role(i) != "assistant")
                continue;
            string whole = i + 1 == conversation.Count ? text : format.Render(conversation, i + 1, false).Text;
            if (!text.StartsWith(whole, StringComparison.Ordinal))
                throw Changes(conversation, i);
            turns.Add((Start(conversation, format, text, i), whole.Length));
        }
        return turns;
    }

    // The answer begins where the text with the generation prompt ends, or where the two part.
    private static int Start(Conversation conversation, ChatFormat format, string text, int message)
    {
        if (message == 0)
            return 0;
        string before = format.Render(conversation, message, addGenerationPrompt: false).Text;
        if (!text.StartsWith(before, StringComparison.Ordinal))
            throw Changes(conversation, message - 1);
        string prompt = format.Render(conversation, message, addGenerationPrompt: true).Text;
        return text.AsSpan().CommonPrefixLength(prompt);
    }

    private static InputException Changes(Conversation conversation, int message) =>
        new(
            $"{conversation.Place}: the chat template renders the messages up to messages[{message}] differently once "
                + "others follow, so that turns cannot be found in the text; expected a template with generation "
                + "blocks, or --train-on all"
        );
}
