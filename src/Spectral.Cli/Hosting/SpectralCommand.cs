using System.CommandLine;

namespace Spectral.Cli.Hosting;

/// <summary>One command of `spectral`: its options, its examples for the help text, and what it does.</summary>
internal abstract class SpectralCommand : Command
{
    private readonly Option<bool> _json = new("--json")
    {
        Description = "Print exactly one JSON object on stdout; progress goes to stderr.",
    };

    /// <summary>Shown at the end of every help text.</summary>
    public IReadOnlyList<string> Examples { get; }

    protected SpectralCommand(string name, string description, params string[] examples)
        : base(name, description)
    {
        Examples = examples;
        SetAction(arguments => ErrorBoundary.Run(this, new CommandContext(arguments, arguments.GetValue(_json))));
    }

    /// <summary>Adds the command's own options, then those that every command ends with.</summary>
    protected void AddOptions(params ReadOnlySpan<Option> options)
    {
        foreach (Option option in options)
        {
            // Given twice, the last one counts: so a script can have defaults that its caller's options override.
            if (option is not Option<bool>)
                option.Arity = ArgumentArity.OneOrMore;
            Add(option);
        }
        Add(_json);
    }

    public abstract void Execute(CommandContext context);
}
