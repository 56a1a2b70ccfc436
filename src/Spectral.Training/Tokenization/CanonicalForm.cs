using System.Buffers;
using System.Globalization;
using System.Text;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Tokenization;

/// <summary>
/// Computes Unicode's normal forms C, D, KC and KD, by Unicode 9 as in the Rust core. It has its own tables because
/// .NET leaves text unchanged if globalization is invariant, and because ids must not depend on the Unicode library of
/// the machine.
/// </summary>
internal static class CanonicalForm
{
    // Hangul syllables are composed by arithmetic: 19 leading, 21 vowel and 28 trailing jamo (the first trailing one is
    // "none").
    private const int SyllableBase = 0xAC00;
    private const int LeadBase = 0x1100;
    private const int VowelBase = 0x1161;
    private const int TailBase = 0x11A7;
    private const int Leads = 19;
    private const int Vowels = 21;
    private const int Tails = 28;

    private static readonly Lazy<Tables> Data = new(Tables.Load);

    /// <summary>
    /// Returns the normal form C, or KC if <paramref name="compatible"/>: decomposed, ordered and composed again.
    /// </summary>
    public static string Compose(string text, bool compatible = false)
    {
        // Below U+0300 nothing combines and everything is already composed. Below U+00A0 all forms are equal.
        if (!text.AsSpan().ContainsAnyExceptInRange('\0', compatible ? '\u009F' : '\u02FF'))
            return text;
        if (!compatible && !text.AsSpan().ContainsAnyExcept(Data.Value.Composed))
            return text;
        List<int> codes = Decomposed(text, compatible);
        int starter = -1;
        int written = 0;
        byte last = 0;
        for (int i = 0; i < codes.Count; i++)
        {
            byte combining = Data.Value.ClassOf(codes[i]);
            bool blocked = starter < written - 1 && last >= combining;
            if (starter >= 0 && !blocked && Pair(codes[starter], codes[i]) is { } composed)
            {
                codes[starter] = composed;
                continue;
            }
            if (combining == 0)
                starter = written;
            last = combining;
            codes[written++] = codes[i];
        }
        return ToText(codes, written);
    }

    /// <summary>
    /// Returns the normal form D, or KD if <paramref name="compatible"/>: decomposed, with marks in canonical order.
    /// </summary>
    public static string Decompose(string text, bool compatible = false)
    {
        if (!text.AsSpan().ContainsAnyExceptInRange('\0', '\u009F'))
            return text;
        List<int> codes = Decomposed(text, compatible);
        return ToText(codes, codes.Count);
    }

    private static List<int> Decomposed(string text, bool compatible)
    {
        List<int> codes = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            Append(codes, rune.Value, compatible);
        SortMarks(codes);
        return codes;
    }

    private static void Append(List<int> codes, int code, bool compatible)
    {
        int syllable = code - SyllableBase;
        if (syllable is >= 0 and < Leads * Vowels * Tails)
        {
            codes.Add(LeadBase + (syllable / (Vowels * Tails)));
            codes.Add(VowelBase + (syllable / Tails % Vowels));
            if (syllable % Tails > 0)
                codes.Add(TailBase + (syllable % Tails));
        }
        else if (Data.Value.Decompositions.TryGetValue(code, out (int First, int Second) parts))
        {
            Append(codes, parts.First, compatible);
            if (parts.Second > 0)
                Append(codes, parts.Second, compatible);
        }
        else if (compatible && Data.Value.Compatible.TryGetValue(code, out int[]? alike))
        {
            TextNormalizer.Bounded(codes.Count + alike.Length);
            foreach (int part in alike)
                Append(codes, part, compatible);
        }
        else
        {
            codes.Add(code);
        }
    }

    // Sorts each run of marks by class with a stable sort, so that a text that consists only of marks does not take
    // quadratic time.
    private static void SortMarks(List<int> codes)
    {
        for (int i = 0; i < codes.Count; i++)
        {
            if (Data.Value.ClassOf(codes[i]) == 0)
                continue;
            int end = i + 1;
            while (end < codes.Count && Data.Value.ClassOf(codes[end]) != 0)
                end++;
            if (end - i > 1)
            {
                int[] sorted = [.. codes.GetRange(i, end - i).OrderBy(Data.Value.ClassOf)];
                for (int j = 0; j < sorted.Length; j++)
                    codes[i + j] = sorted[j];
            }
            i = end;
        }
    }

    private static int? Pair(int first, int second)
    {
        int lead = first - LeadBase;
        int vowel = second - VowelBase;
        if (lead is >= 0 and < Leads && vowel is >= 0 and < Vowels)
            return SyllableBase + (((lead * Vowels) + vowel) * Tails);
        int syllable = first - SyllableBase;
        int tail = second - TailBase;
        if (syllable is >= 0 and < Leads * Vowels * Tails && syllable % Tails == 0 && tail is > 0 and < Tails)
            return first + tail;
        return Data.Value.Compositions.TryGetValue((first, second), out int composed) ? composed : null;
    }

    private static string ToText(List<int> codes, int count)
    {
        StringBuilder builder = new(count);
        Span<char> units = stackalloc char[2];
        for (int i = 0; i < count; i++)
            builder.Append(units[..new Rune(codes[i]).EncodeToUtf16(units)]);
        return builder.ToString();
    }

    private sealed class Tables
    {
        private readonly Dictionary<int, byte> _classes = [];

        public Dictionary<int, (int First, int Second)> Decompositions { get; } = [];

        public Dictionary<(int First, int Second), int> Compositions { get; } = [];

        public Dictionary<int, int[]> Compatible { get; } = [];

        /// <summary>
        /// The UTF-16 units that form C never changes whatever their neighbours are. Nearly every text consists only of
        /// these.
        /// </summary>
        public SearchValues<char> Composed { get; private set; } = SearchValues.Create("");

        public byte ClassOf(int code) => code < 0x300 ? (byte)0 : _classes.GetValueOrDefault(code);

        public static Tables Load()
        {
            Tables tables = new();
            using Stream stream = typeof(CanonicalForm).Assembly.GetManifestResourceStream("canonical-forms.txt")!;
            using StreamReader reader = new(stream);
            while (reader.ReadLine() is { } line)
            {
                string[] words = line.Split(' ');
                if (words[0] == "#")
                    continue;
                if (words[0] == "k")
                {
                    tables.Compatible.Add(Hex(words[1]), [.. words[2..].Select(Hex)]);
                    continue;
                }
                int first = Hex(words[1]);
                int second = words.Length > 2 ? Hex(words[2]) : 0;
                int third = words.Length > 3 ? Hex(words[3]) : 0;
                if (words[0] == "c")
                {
                    for (int code = first; code <= second; code++)
                        tables._classes.Add(code, byte.Parse(words[3], CultureInfo.InvariantCulture));
                    continue;
                }
                tables.Decompositions.Add(first, (second, third));
                if (words[0] == "d")
                    tables.Compositions.Add((second, third), first);
            }
            tables.Composed = SearchValues.Create([.. tables.ComposedUnits()]);
            return tables;
        }

        // All except surrogates, marks, characters that compose with a preceding one, and characters that decompose
        // permanently.
        private IEnumerable<char> ComposedUnits()
        {
            HashSet<int> left = [.. Enumerable.Range(0, char.MaxValue + 1)];
            left.ExceptWith(Enumerable.Range(0xD800, 0x800));
            left.ExceptWith(_classes.Keys);
            left.ExceptWith(Compositions.Keys.Select(pair => pair.Second));
            left.ExceptWith(Enumerable.Range(VowelBase, Vowels));
            left.ExceptWith(Enumerable.Range(TailBase, Tails));
            left.ExceptWith(Decompositions.Keys.Except(Compositions.Values));
            return left.Select(code => (char)code);
        }

        private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }
}
