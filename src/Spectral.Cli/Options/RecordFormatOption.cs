using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Data;

namespace Spectral.Cli.Options;

/// <summary>--format: which keys the records of data files have.</summary>
internal sealed class RecordFormatOption
{
    private const string Automatic = "auto";

    public Option<string> Option { get; } =
        OptionTypes.Choice(
            "--format",
            "Format of the records: by the keys that each has (auto), or one for all. Files are JSON Lines, a JSON "
                + "array "
                + "or Parquet, or a folder of them.",
            Automatic,
            [Automatic, .. RecordFormats.All.Select(format => format.Name)]
        );

    /// <summary>Returns the format; null: each record has the one whose keys it has.</summary>
    public RecordFormat? Read(CommandContext context) =>
        context.Get(Option) is var name && name == Automatic ? null : RecordFormats.Find(name);
}
