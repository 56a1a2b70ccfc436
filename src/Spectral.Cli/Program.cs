using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Spectral.Cli.Commands;
using Spectral.Cli.Hosting;

namespace Spectral.Cli;

internal static class Program
{
    private static int Main(string[] arguments)
    {
        RootCommand root = Root();
        // "@file" and "-abc" are plain values here: a prompt may begin with either.
        var parser = new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false };
        ParseResult parsed = root.Parse(arguments.Length == 0 ? ["--help"] : arguments, parser);
        if (parsed.Errors.Count > 0 && parsed.Action is ParseErrorAction)
        {
            string command = parsed.CommandResult.Command is SpectralCommand given
                ? "spectral " + given.Name
                : "spectral";
            Console.Error.WriteLine($"{command}: {parsed.Errors[0].Message}");
            Console.Error.WriteLine($"Try '{command} --help'.");
            return ErrorBoundary.BadInput;
        }
        return parsed.Invoke(
            new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }
        );
    }

    private static RootCommand Root()
    {
        var root = new RootCommand(
            "Fine-tunes language models with low-rank and spectral adapters, on CUDA or on the CPU."
        )
        {
            new InfoCommand(),
            new FinetuneCommand(),
            new CompareCommand(),
            new MethodsCommand(),
            new PretrainCommand(),
            new EvalCommand(),
            new GenerateCommand(),
            new MergeCommand(),
            new ExportCommand(),
            new SvdCommand(),
            new AnalyzeCommand(),
            new TokenizeCommand(),
        };
        // Without an action of its own, "spectral bogus" would be told that a command is missing instead of which one
        // is unknown.
        root.SetAction(_ => root.Parse("--help").Invoke());
        root.Add(
            new Option<bool>(CommandContext.DebugOption)
            {
                Description = "Show the stack trace of a failure.",
                Recursive = true,
            }
        );
        foreach (Option option in root.Options)
        {
            if (option is HelpOption { Action: HelpAction standard })
                option.Action = new HelpWithExamples(standard);
        }

        return root;
    }
}
