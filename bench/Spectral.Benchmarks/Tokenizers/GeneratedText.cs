using System.Globalization;
using System.Text;

namespace Spectral.Benchmarks.Tokenizers;

/// <summary>
/// Text for measuring where no real one is at hand: words of several scripts, drawn as often as words of a language are
/// (the n-th word 1/n as often as the first), lines of code, numbers. Its words are invented, so that tokenizers cut
/// them into more tokens than real ones.
/// </summary>
internal static class GeneratedText
{
    private const int WordsPerScript = 20_000;

    /// <summary>A text of at least so many bytes of UTF-8, the same in every run.</summary>
    public static string Of(int bytes)
    {
        Random random = new(1);
        string[] latin = Words(random, "a e i o u ai ou ea", "b c d f g h l m n p r s t v w st th ch", 1, 4);
        string[] cyrillic = Words(random, "а е и о у я ю ы", "б в г д ж з к л м н п р с т ш ст", 1, 4);
        string[] accented = Words(random, "a e é è ü ö ä í ó ã", "b c d f g h l m n p ç ñ s t v ß", 1, 4);
        string[] kana = Words(random, "あ い う え お ん し の ア イ ス", "日 本 語 文 字 大 学 生 時 間 国 人", 1, 2);
        Func<string>[] paragraphs =
        [
            () => Prose(random, latin, " ", ". "),
            () => Prose(random, latin, " ", ". "),
            () => Code(random, latin),
            () => Code(random, latin),
            () => Prose(random, cyrillic, " ", ". "),
            () => Prose(random, accented, " ", "! "),
            () => Prose(random, kana, "", "。"),
        ];
        StringBuilder text = new();
        for (int made = 0; made < bytes; )
        {
            string paragraph = paragraphs[random.Next(paragraphs.Length)]();
            text.Append(paragraph);
            made += Encoding.UTF8.GetByteCount(paragraph);
        }
        return text.ToString();
    }

    private static string[] Words(Random random, string vowels, string consonants, int shortest, int longest)
    {
        string[] ends = vowels.Split(' ');
        string[] starts = consonants.Split(' ');
        string[] words = new string[WordsPerScript];
        for (int i = 0; i < words.Length; i++)
        {
            for (int syllables = random.Next(shortest, longest + 1); syllables > 0; syllables--)
                words[i] += starts[random.Next(starts.Length)] + ends[random.Next(ends.Length)];
        }
        return words;
    }

    private static string Word(Random random, string[] words) =>
        words[(int)Math.Pow(words.Length, random.NextDouble()) - 1];

    private static string Prose(Random random, string[] words, string space, string stop)
    {
        StringBuilder text = new();
        for (int sentences = random.Next(2, 8); sentences > 0; sentences--)
        {
            string first = Word(random, words);
            text.Append(char.ToUpperInvariant(first[0])).Append(first, 1, first.Length - 1);
            for (int count = random.Next(4, 20); count > 0; count--)
                text.Append(random.Next(12) == 0 ? "," : "").Append(space).Append(Word(random, words));
            text.Append(random.Next(8) == 0 ? $"{space}{random.Next(3000)}" : "").Append(stop);
        }
        return text.Append("\n\n").ToString();
    }

    private static string Code(Random random, string[] words)
    {
        StringBuilder text = new();
        text.Append("def ").Append(Any()).Append('_').Append(Any()).Append('(').Append(Any()).Append("):\n");
        for (int lines = random.Next(3, 12); lines > 0; lines--)
        {
            text.Append(' ', 4 * random.Next(1, 4));
            text.Append(Any()).Append(" = self.").Append(Any()).Append('[').Append(random.Next(100)).Append("] + ");
            text.Append(random.NextDouble().ToString("F3", CultureInfo.InvariantCulture));
            text.Append("  # ").Append(Any()).Append(' ').Append(Any()).Append('\n');
        }
        return text.Append('\n').ToString();

        string Any() => Word(random, words);
    }
}
