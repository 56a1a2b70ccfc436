using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Training.Distributed;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Quantization;

namespace Spectral.Cli.Hosting;

/// <summary>
/// What a running command needs: its arguments, where to write, and whether it was asked to stop.
/// </summary>
internal sealed class CommandContext(ParseResult arguments, bool json)
{
    /// <summary>The option of every command that prints the stack trace of a failure.</summary>
    public const string DebugOption = "--debug";

    public Terminal Terminal { get; } = new(json);

    public bool Debug { get; } = arguments.GetValue<bool>(DebugOption);

    public bool Json => json;

    /// <summary>The token that SIGINT and SIGTERM cancel.</summary>
    public CancellationToken Cancellation { get; set; }

    /// <summary>
    /// Options with which the command would need less device memory, as they would be given on its command line.
    /// </summary>
    public List<string> SavesMemory { get; } = [];

    /// <summary>
    /// What some of these options save, each in words, if the command planned its memory when it ran out.
    /// </summary>
    public IReadOnlyList<string> MemorySavings { get; set; } = [];

    /// <summary>Which of the processes that train together this one is.</summary>
    public RankLaunch Launch { get; private set; } = RankLaunch.Alone;

    /// <summary>The processes that train together, once they are connected.</summary>
    public RankGroup Ranks { get; private set; } = RankGroup.Alone;

    /// <summary>Makes this process one of several, of which only the first prints.</summary>
    public void StartAs(RankLaunch launch)
    {
        Launch = launch;
        (Terminal.IsSilent, Terminal.IsOfLauncher) = (!launch.IsFirst, launch.Count > 1);
        // .NET would begin what is printed with a control sequence.
        if (launch.Count > 1)
            Environment.SetEnvironmentVariable("TERM", "dumb");
    }

    /// <summary>Connects the processes that train together, and waits for all of them.</summary>
    /// <exception cref="InputException">The launcher does not suit the device, or a rank did not come.</exception>
    public void Join(Device device) => Ranks = RankGroup.Join(device, Launch);

    public T Get<T>(Option<T> option) => arguments.GetValue(option)!;

    /// <summary>Returns whether the option is given on the command line, rather than left at its default.</summary>
    public bool IsGiven(Option option) => arguments.GetResult(option) is { Implicit: false };

    /// <summary>Refuses options that have no meaning without another one.</summary>
    /// <param name="needed">The other option, which is not given, as it is to be written.</param>
    /// <param name="options">The options that need it.</param>
    /// <exception cref="InputException">One of the options is given.</exception>
    public void RefuseWithout(string needed, params ReadOnlySpan<Option> options)
    {
        foreach (Option option in options)
        {
            if (IsGiven(option))
                throw new InputException($"{option.Name} {Text(option)}: expected {needed} with it");
        }
    }

    /// <summary>
    /// Returns the option's value as it would be given on a command line; yes or no for a flag; empty if it has none.
    /// </summary>
    public string Text(Option option) =>
        option switch
        {
            Option<int> number => Get(number).ToString(CultureInfo.InvariantCulture),
            Option<int?> number => Get(number)?.ToString(CultureInfo.InvariantCulture) ?? "",
            Option<ulong> number => Get(number).ToString(CultureInfo.InvariantCulture),
            Option<double> number => Get(number).ToString(CultureInfo.InvariantCulture),
            Option<double?> number => Get(number)?.ToString(CultureInfo.InvariantCulture) ?? "",
            Option<bool> flag => Get(flag) ? "yes" : "no",
            Option<string> text => Get(text) ?? "",
            Option<string[]> texts => string.Join(' ', Get(texts) ?? []),
            _ => throw new ArgumentException(
                $"{option.Name}: a {option.ValueType.Name} has no text form",
                nameof(option)
            ),
        };

    /// <summary>Opens a model folder and prints its warnings.</summary>
    /// <exception cref="InputException">A file in the folder is missing or not valid.</exception>
    public ModelFolder OpenModel(string directory, bool weightsOptional = false, BaseQuantization? quantization = null)
    {
        var folder = ModelFolder.Open(directory, weightsOptional, quantization);
        Warn(folder.Warnings);
        return folder;
    }

    /// <summary>Prints each warning as a line on stderr.</summary>
    public void Warn(IEnumerable<string> warnings)
    {
        foreach (string warning in warnings)
            Terminal.Warn(warning);
    }

    /// <summary>Prints the command's result: the JSON object with --json, or else text.</summary>
    public void Finish(JsonObject result, Action<Terminal> asText)
    {
        if (!Launch.IsFirst)
            return;
        if (json)
            JsonOutput.Print(result);
        else
            asText(Terminal);
    }
}
