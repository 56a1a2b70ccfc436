using Spectral.Generators;
using Spectral.Training.IO;

namespace Spectral.Training.Data;

/// <summary>Finds formats of records by name, or by the keys of a record.</summary>
/// <example>
/// <code>
/// IReadOnlyList&lt;TrainingRecord&gt; records = RecordReader.Load(dataPath, RecordFormats.Find("alpaca"));
/// </code>
/// </example>
public static partial class RecordFormats
{
    /// <summary>All formats, sorted by name.</summary>
    public static IReadOnlyList<RecordFormat> All { get; } =
    [.. BuiltIn().OrderBy(format => format.Name, StringComparer.Ordinal)];

    /// <summary>Finds the format called <paramref name="name"/>, as on the command line.</summary>
    /// <exception cref="InputException">There is no such format; the message lists those that there are.</exception>
    public static RecordFormat Find(string name) =>
        All.FirstOrDefault(format => format.Name == name)
        ?? throw new InputException(
            $"unknown format {InputText.Quote(name)}, known: {string.Join(", ", All.Select(format => format.Name))}"
        );

    /// <summary>Returns the format whose keys a record has.</summary>
    /// <exception cref="InputException">It has those of none, or of several.</exception>
    internal static RecordFormat Recognise(JsonFields record, string place)
    {
        List<RecordFormat> found = [.. All.Where(format => format.IsKnownBy(record))];
        found.RemoveAll(format => found.Exists(other => other.Outranks.Contains(format.Name)));
        return found switch
        {
            [var format] => format,
            [] => throw new InputException(
                $"{place}: keys of no known format, expected those of one: "
                    + string.Join("; ", All.Select(format => $"{format.Keys} ({format.Name})"))
            ),
            _ => throw new InputException(
                $"{place}: has keys of {string.Join(" and ", found.Select(format => format.Name))}, expected one or "
                    + "the "
                    + "other, or --format with the one that counts"
            ),
        };
    }

    [NewOfEachSubclass]
    private static partial RecordFormat[] BuiltIn();
}
