using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Data;

namespace Spectral.Cli.Options;

/// <summary>--format: which keys the records of data files have.</summary>
/// <param name="result">A value that says what the result is written as instead; null: there is none.</param>
/// <param name="resultHelp">What that value does, for the help text.</param>
internal sealed class RecordFormatOption(string? result = null, string resultHelp = "")
{
    private const string Automatic = "auto";

    public Option<string> Option { get; } =
        OptionTypes.Choice(
            "--format",
            "Format of the records: by the keys that each has (auto), or one for all. Files are JSON Lines, a JSON "
                + "array "
                + $"or Parquet, or a folder of them.{resultHelp}",
            Automatic,
            [Automatic, .. RecordFormats.All.Select(format => format.Name), .. result is null ? [] : new[] { result }]
        );

    /// <summary>Returns whether the value is that of the result.</summary>
    public bool IsOfResult(CommandContext context) => context.Get(Option) == result;

    /// <summary>Returns the format; null: each record has the one whose keys it has.</summary>
    public RecordFormat? Read(CommandContext context) =>
        context.Get(Option) is var name && (name == Automatic || name == result) ? null : RecordFormats.Find(name);
}
