using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Spectral.Cli.Hosting;

/// <summary>Prints the library's help text, with a command's details and examples.</summary>
internal sealed class HelpWithExamples(HelpAction standard) : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        var command = parseResult.CommandResult.Command as SpectralCommand;
        if (command is { Details.Length: > 0 })
            command.Description += " " + command.Details;
        int code = standard.Invoke(parseResult);
        if (command is not null)
        {
            TextWriter output = parseResult.InvocationConfiguration.Output;
            output.WriteLine(command.Examples.Count == 1 ? "Example:" : "Examples:");
            foreach (string example in command.Examples)
                output.WriteLine("  " + example);
            output.WriteLine();
        }
        return code;
    }
}
