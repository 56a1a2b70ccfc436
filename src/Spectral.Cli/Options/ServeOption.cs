using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;

namespace Spectral.Cli.Options;

/// <summary>--serve: the port of the page that shows a run while it trains.</summary>
internal sealed class ServeOption
{
    private const string Expected = "a port from 1 to 65535, or none for any free one";

    public Option<string?> Option { get; } =
        new("--serve")
        {
            Description =
                "Show the loss as it comes on a page at 127.0.0.1, which only this machine reaches; without a port, at "
                + "any free one.",
            HelpName = "PORT",
            Arity = ArgumentArity.ZeroOrOne,
            CustomParser = result =>
            {
                if (result.Tokens.Count == 0)
                    return "0";
                string value = OptionTypes.Value(result);
                if (PortOf(value) is null or 0)
                    result.AddError(OptionTypes.Complaint("--serve", value, Expected));
                return value;
            },
        };

    /// <summary>Returns the port, 0 for any free one; null: there is to be no page.</summary>
    public int? Read(CommandContext context) => context.Get(Option) is { } value ? PortOf(value) : null;

    private static int? PortOf(string value) =>
        ushort.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) ? port : null;
}
