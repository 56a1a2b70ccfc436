using System.Text;

namespace Spectral.Training.Gguf.Tokenizers;

/// <summary>
/// The scores with which llama.cpp's SentencePiece tokenizer merges as a list of merges says. It has no list: of all
/// neighbours whose joined text is a token it joins those with the highest score, the leftmost first.
/// </summary>
internal static class MergeScores
{
    private const float Lowest = -1e6f;

    /// <summary>
    /// Returns the score of each token, the number of tokens that are made before it, negated; null: no scores give
    /// these merges.
    /// </summary>
    /// <param name="vocabulary">The ids of the tokens that text is merged to.</param>
    /// <param name="merges">The merges, the first of which takes precedence.</param>
    /// <param name="count">The number of ids.</param>
    public static float[]? Of(
        IReadOnlyDictionary<string, int> vocabulary,
        IReadOnlyList<(string Left, string Right)> merges,
        int count
    )
    {
        float[] scores = new float[count];
        Array.Fill(scores, Lowest);
        HashSet<(string, string)> listed = [.. merges];
        HashSet<string> made = [];
        string? current = null;
        foreach ((string left, string right) in merges)
        {
            string token = left + right;
            if (token == current)
                continue;
            // A token whose merges are not all listed together would need two scores.
            if (!made.Add(token))
                return null;
            current = token;
            scores[vocabulary[token]] = -made.Count;
        }
        return made.All(token => ListsEverySplit(token, vocabulary, listed)) && !JoinsOthers(vocabulary, made)
            ? scores
            : null;
    }

    private static bool ListsEverySplit(
        string token,
        IReadOnlyDictionary<string, int> vocabulary,
        HashSet<(string, string)> listed
    ) => Splits(token, vocabulary).All(listed.Contains);

    // A token without merges that others spell would be made nevertheless.
    private static bool JoinsOthers(IReadOnlyDictionary<string, int> vocabulary, HashSet<string> made) =>
        vocabulary.Keys.Any(token => !made.Contains(token) && Splits(token, vocabulary).Any());

    private static IEnumerable<(string, string)> Splits(string token, IReadOnlyDictionary<string, int> vocabulary)
    {
        int at = 0;
        foreach (Rune rune in token.EnumerateRunes())
        {
            if (at > 0 && vocabulary.ContainsKey(token[..at]) && vocabulary.ContainsKey(token[at..]))
                yield return (token[..at], token[at..]);
            at += rune.Utf16SequenceLength;
        }
    }
}
