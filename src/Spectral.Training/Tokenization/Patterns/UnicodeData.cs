using System.Collections.Concurrent;
using System.Globalization;

namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// Reads sets and mappings of code points by their names in unicode-sets.txt, whose first lines give the Unicode
/// versions. The tables are our own, because ids must not depend on the Unicode version of .NET or of the machine.
/// </summary>
internal static class UnicodeData
{
    private static readonly Lazy<Dictionary<string, List<string>>> Lines = new(ReadLines);
    private static readonly ConcurrentDictionary<string, CodeSet> Sets = new();

    /// <summary>
    /// Returns a name in the form used for comparison: case, spaces, hyphens and underscores are ignored.
    /// </summary>
    public static string Key(string name) =>
        string.Concat(name.Where(character => character is not (' ' or '-' or '_'))).ToUpperInvariant();

    /// <summary>Returns a set by its name, in any spelling of a property; null if unknown.</summary>
    public static CodeSet? Find(string name)
    {
        string key = Key(name);
        return Lines.Value.TryGetValue(key, out List<string>? lines) ? Sets.GetOrAdd(key, _ => ParseSet(lines)) : null;
    }

    /// <summary>Returns the union of sets that are known to exist.</summary>
    public static CodeSet Union(params ReadOnlySpan<string> names)
    {
        CodeSet set = CodeSet.Empty;
        foreach (string name in names)
            set = set.Union(Find(name) ?? throw new InvalidOperationException(name));
        return set;
    }

    /// <summary>Returns a mapping of unicode-sets.txt for the code points that it changes.</summary>
    public static Dictionary<int, int[]> Mapping(string name)
    {
        Dictionary<int, int[]> mapping = [];
        foreach (string run in Lines.Value[Key(name)].SelectMany(line => line.Split(' ')))
        {
            if (run.Split('>') is [var from, var to])
            {
                mapping.Add(Hex(from), [.. to.Split('.').Select(Hex)]);
                continue;
            }
            string[] words = run.Split('-', '+', '/');
            int delta = Hex(words[^1]);
            if (run[^(words[^1].Length + 1)] == '-')
                delta = -delta;
            int step = words.Length == 4 ? Hex(words[2]) : 1;
            for (int code = Hex(words[0]); code <= Hex(words[1]); code += step)
                mapping.Add(code, [code + delta]);
        }
        return mapping;
    }

    private static Dictionary<string, List<string>> ReadLines()
    {
        Dictionary<string, List<string>> named = [];
        List<string> current = [];
        using StreamReader reader = new(typeof(UnicodeData).Assembly.GetManifestResourceStream("unicode-sets.txt")!);
        while (reader.ReadLine() is { } line)
        {
            if (line[0] is not ('=' or '>'))
            {
                current.Add(line);
                continue;
            }
            current = [];
            foreach (string name in line[2..].Split(' '))
                named.TryAdd(Key(name), current);
        }
        return named;
    }

    private static CodeSet ParseSet(List<string> lines) =>
        CodeSet.FromSorted(
            lines
                .SelectMany(line => line.Split(' '))
                .Select(word =>
                {
                    string[] ends = word.Split('-');
                    return (Hex(ends[0]), Hex(ends[^1]));
                })
        );

    private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
