using Spectral.Training.Tokenization;

namespace Spectral.Training.Generation;

/// <summary>Decodes a continuation token by token, as far as its characters are complete.</summary>
/// <param name="tokenizer">The tokenizer.</param>
/// <param name="prompt">The tokens before it.</param>
internal sealed class StreamedText(BpeTokenizer tokenizer, int[] prompt)
{
    // Enough tokens that the decoder does not take the continuation for the beginning of a text.
    private const int Context = 8;

    private readonly List<int> _tokens = [.. prompt.AsSpan(Math.Max(0, prompt.Length - Context))];
    private string _shown = tokenizer.Decode(prompt.AsSpan(Math.Max(0, prompt.Length - Context)));

    /// <summary>Returns the text that a token adds; empty while a character is not complete.</summary>
    public string Add(int token)
    {
        _tokens.Add(token);
        string text = tokenizer.Decode([.. _tokens]);
        if (text.EndsWith('\ufffd') || !text.StartsWith(_shown, StringComparison.Ordinal))
            return "";
        string added = text[_shown.Length..];
        _shown = text;
        return added;
    }
}
