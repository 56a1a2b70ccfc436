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
        // "@file" and "-abc" are plain values, as a prompt may begin with either.
        var parser = new ParserConfiguration { ResponseFileTokenReplacer = null, EnablePosixBundling = false };
        ParseResult parsed = root.Parse(arguments.Length == 0 ? ["--help"] : WithEmptyValues(root, arguments), parser);
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

    /// <summary>Makes two arguments, --name and "", of each --name= whose option takes a value.</summary>
    /// <remarks>The parser would take the argument after --name= for the value.</remarks>
    private static string[] WithEmptyValues(RootCommand root, string[] arguments)
    {
        var names = root
            .Subcommands.SelectMany(command => command.Options)
            .Where(option => option.Arity.MinimumNumberOfValues > 0)
            .Select(option => option.Name + "=")
            .ToHashSet();
        return
        [
            .. arguments.SelectMany(argument => names.Contains(argument) ? [argument[..^1], ""] : new[] { argument }),
        ];
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
            new ContinualCommand(),
            new MethodsCommand(),
            new PlaceCommand(),
            new PlanCommand(),
            new PretrainCommand(),
            new EvalCommand(),
            new GenerateCommand(),
            new ChatCommand(),
            new RenderCommand(),
            new MergeCommand(),
            new ExportCommand(),
            new CompressCommand(),
            new SvdCommand(),
            new AnalyzeCommand(),
            new TokenizeCommand(),
        };
        // Without an action of its own, the root would answer "spectral bogus" with "a command is missing" and not name
        // the unknown one.
        root.SetAction(_ => root.Parse("--help").Invoke());
        root.Add(
            new Option<bool>(CommandContext.DebugOption)
            {
                Description = "Show the stack trace if the command fails.",
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
