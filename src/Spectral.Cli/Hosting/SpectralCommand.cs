using System.CommandLine;

namespace Spectral.Cli.Hosting;

/// <summary>A command of `spectral`: its options, its help text and what it does.</summary>
internal abstract class SpectralCommand : Command
{
    private readonly Option<bool> _json = new("--json")
    {
        Description = "Print exactly one JSON object on stdout; progress goes to stderr.",
    };

    /// <summary>Examples, shown at the end of the command's help text.</summary>
    public IReadOnlyList<string> Examples { get; }

    /// <summary>
    /// What the command's own help text says after its summary; the list of commands shows the summary alone.
    /// </summary>
    public string Details { get; protected init; } = "";

    protected SpectralCommand(string name, string summary, params string[] examples)
        : base(name, summary)
    {
        Examples = examples;
        SetAction(arguments => ErrorBoundary.Run(this, new CommandContext(arguments, arguments.GetValue(_json))));
    }

    /// <summary>Whether several processes that a launcher started run the command together.</summary>
    public virtual bool TakesRanks => false;

    /// <summary>Adds the command's own options, then --json, which every command has.</summary>
    protected void AddOptions(params ReadOnlySpan<Option> options)
    {
        foreach (Option option in options)
        {
            // An option may be given twice and the last value counts, so that a script's caller can override its
            // values. One with an optional value would take the argument after it as a second one.
            if (option is not Option<bool> && !option.Arity.Equals(ArgumentArity.ZeroOrOne))
                option.Arity = ArgumentArity.OneOrMore;
            Add(option);
        }
        Add(_json);
    }

    public abstract void Execute(CommandContext context);
}
