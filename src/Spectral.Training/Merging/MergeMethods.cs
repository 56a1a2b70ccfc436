using Spectral.Generators;
using Spectral.Training.IO;

namespace Spectral.Training.Merging;

/// <summary>Finds merge methods by name.</summary>
public static partial class MergeMethods
{
    /// <summary>All methods, sorted by name.</summary>
    public static IReadOnlyList<MergeMethod> All { get; } =
    [.. BuiltIn().OrderBy(method => method.Name, StringComparer.Ordinal)];

    /// <summary>Finds the method called <paramref name="name"/>, as on the command line.</summary>
    /// <exception cref="InputException">There is no such method; the message has the nearest name.</exception>
    public static MergeMethod Find(string name) =>
        All.FirstOrDefault(method => method.Name == name)
        ?? throw new InputException(
            $"unknown merge method {InputText.Quote(name)}: did you mean {Nearest(name)}? known: "
                + string.Join(", ", All.Select(method => method.Name))
        );

    [NewOfEachSubclass]
    private static partial MergeMethod[] BuiltIn();

    private static string Nearest(string name) =>
        All.Select(method => method.Name).MinBy(known => EditDistance(known, name))!;

    /// <summary>Counts the letters to insert, delete or replace (Levenshtein).</summary>
    private static int EditDistance(string from, string to)
    {
        int[] row = [.. Enumerable.Range(0, to.Length + 1)];
        for (int i = 1; i <= from.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= to.Length; j++)
            {
                int replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[^1];
    }
}
