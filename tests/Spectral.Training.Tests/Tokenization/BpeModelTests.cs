using System.Text;
using System.Text.Json.Nodes;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

/// <summary>
/// What makes merging fast must not change an id: against merging as it is defined, step by step over the whole piece.
/// </summary>
public sealed class BpeModelTests : FolderTest
{
    // ▁ comes before words as in Llama 2; é, € and 😀 are no tokens.
    private const string Letters = "▁abc,>";
    private static readonly string[] Drawn = ["▁", "▁", "a", "a", "b", "c", ",", ">", "é", "€", "😀"];

    [Test]
    public void LongPiecesOfATokenizerThatSplitsNothing([Values] bool byteFallback, [Values] bool spacesInside)
    {
        Random random = new(11);
        List<(string Left, string Right)> merges = Merges(random, spacesInside);
        JsonObject json = TokenizerFiles.ByteFallback(Letters[1..], [.. merges]);
        json["normalizer"] = null;
        json["post_processor"] = null;
        json["model"]!["byte_fallback"] = byteFallback;
        BpeTokenizer tokenizer = TokenizerFiles.Load(folder, json);
        for (int trial = 0; trial < 300; trial++)
        {
            string text = string.Concat(random.GetItems(Drawn, random.Next(1, 150)));
            List<string> expected = Merged(Symbols(text, byteFallback), merges);
            // Once merged, and once from the cache.
            Assert.That(tokenizer.Encode(text).Select(tokenizer.TokenOf), Is.EqualTo(expected), text);
            Assert.That(tokenizer.Encode(text).Select(tokenizer.TokenOf), Is.EqualTo(expected), text);
        }
    }

    // Tokens of runs of ▁ and with ▁ in front, as real ones; with ▁ and commas inside as well if asked for. > joins
    // tokens that stand for other characters, as if to a run.
    private static List<(string Left, string Right)> Merges(Random random, bool spacesInside)
    {
        List<(string Left, string Right)> merges = [("<0xA9>", ">"), ("<unk>", ">")];
        List<string> tokens = [.. Letters.Select(letter => letter.ToString()), "<0xC3>", "<0xA9>"];
        while (merges.Count < 40)
        {
            (string left, string right) = (tokens[random.Next(tokens.Count)], tokens[random.Next(tokens.Count)]);
            bool inside = right[0] is '▁' or ',' or '>' && left[^1] != right[0];
            if (left.Length + right.Length > 14 || merges.Contains((left, right)) || (inside && !spacesInside))
                continue;
            merges.Add((left, right));
            if (!tokens.Contains(left + right))
                tokens.Add(left + right);
        }
        return merges;
    }

    private static List<string> Symbols(string text, bool byteFallback)
    {
        List<string> symbols = [];
        foreach (Rune rune in text.EnumerateRunes())
        {
            string character = rune.ToString();
            if (Letters.Contains(character, StringComparison.Ordinal))
                symbols.Add(character);
            else if (byteFallback)
                symbols.AddRange(Encoding.UTF8.GetBytes(character).Select(value => $"<0x{value:X2}>"));
            else if (symbols.LastOrDefault() != "<unk>")
                symbols.Add("<unk>");
        }
        return symbols;
    }

    private static List<string> Merged(List<string> symbols, List<(string Left, string Right)> merges)
    {
        while (true)
        {
            int best = -1;
            int bestRank = merges.Count;
            for (int i = 0; i + 1 < symbols.Count; i++)
            {
                int rank = merges.IndexOf((symbols[i], symbols[i + 1]));
                if (rank >= 0 && rank < bestRank)
                    (best, bestRank) = (i, rank);
            }
            if (best < 0)
                return symbols;
            symbols[best] += symbols[best + 1];
            symbols.RemoveAt(best + 1);
        }
    }
}
