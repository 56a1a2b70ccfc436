using System.CommandLine;
using Spectral.Cli.Hosting;

namespace Spectral.Cli.Options;

/// <summary>--packing: joins records to sequences of --max-length.</summary>
internal sealed class PackingOption
{
    public Option<bool> Option { get; } =
        OptionTypes.Flag(
            "--packing",
            "Join records to sequences of up to --max-length tokens, each record with its own attention and positions; "
                + "--batch then counts sequences. A longer record is refused."
        );

    /// <summary>Returns the number of tokens of a sequence; null: records are not joined.</summary>
    public int? Length(CommandContext context, Option<int> maxLength) =>
        context.Get(Option) ? context.Get(maxLength) : null;
}
