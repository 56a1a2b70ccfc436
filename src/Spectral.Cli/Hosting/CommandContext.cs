using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Hosting;

/// <summary>
/// What a running command knows: its arguments, where to write, and whether somebody asked it to stop.
/// </summary>
internal sealed class CommandContext(ParseResult arguments, bool json)
{
    /// <summary>The option of every command that shows where a failure happened.</summary>
    public const string DebugOption = "--debug";

    public Terminal Terminal { get; } = new(json);

    public bool Debug { get; } = arguments.GetValue<bool>(DebugOption);

    public bool Json => json;

    /// <summary>Cancelled by SIGINT and SIGTERM.</summary>
    public CancellationToken Cancellation { get; set; }

    /// <summary>
    /// Options that would have the command take less device memory, as they would stand on its command line.
    /// </summary>
    public List<string> SavesMemory { get; } = [];

    public T Get<T>(Option<T> option) => arguments.GetValue(option)!;

    /// <summary>Whether the option stands on the command line, as opposed to having its default.</summary>
    public bool IsGiven(Option option) => arguments.GetResult(option) is { Implicit: false };

    /// <summary>
    /// The option's value as it would stand on a command line, yes or no for a flag; empty when it has none.
    /// </summary>
    public string Text(Option option) =>
        option switch
        {
            Option<int> number => Get(number).ToString(CultureInfo.InvariantCulture),
            Option<int?> number => Get(number)?.ToString(CultureInfo.InvariantCulture) ?? "",
            Option<ulong> number => Get(number).ToString(CultureInfo.InvariantCulture),
            Option<double> number => Get(number).ToString(CultureInfo.InvariantCulture),
            Option<bool> flag => Get(flag) ? "yes" : "no",
            Option<string> text => Get(text) ?? "",
            Option<string[]> texts => string.Join(' ', Get(texts) ?? []),
            _ => throw new ArgumentException(
                $"{option.Name}: a {option.ValueType.Name} has no text form",
                nameof(option)
            ),
        };

    /// <summary>Opens a model folder, and says what in it is odd.</summary>
    /// <exception cref="InputException">Something in the folder is wrong.</exception>
    public ModelFolder OpenModel(string directory, bool weightsOptional = false)
    {
        var folder = ModelFolder.Open(directory, weightsOptional);
        Warn(folder.Warnings);
        return folder;
    }

    /// <summary>One line on stderr for each.</summary>
    public void Warn(IEnumerable<string> warnings)
    {
        foreach (string warning in warnings)
            Terminal.Warn(warning);
    }

    /// <summary>The command's result: the JSON object with --json, else the lines for people.</summary>
    public void Finish(JsonObject result, Action<Terminal> forPeople)
    {
        if (json)
            JsonOutput.Print(result);
        else
            forPeople(Terminal);
    }
}
