using System.CommandLine;
using Spectral.Cli.Hosting;

namespace Spectral.Cli.Options;

/// <summary>--log: the forms in which a run writes its steps, of which JSON lines are always one.</summary>
internal sealed class LogOption
{
    public const string JsonLines = "jsonl";
    public const string Csv = "csv";
    public const string TensorBoard = "tensorboard";

    private static readonly string[] Forms = [JsonLines, Csv, TensorBoard];

    public LogOption()
    {
        Option = new Option<string>("--log")
        {
            Description =
                "Forms of the log, separated by commas: csv writes train_log.csv, tensorboard event files in the "
                + "folder "
                + "tensorboard; jsonl (train_log.jsonl) is always written, as --resume reads it.",
            HelpName = "jsonl|csv|tensorboard,…",
            DefaultValueFactory = _ => JsonLines,
            CustomParser = result =>
            {
                string value = OptionTypes.Value(result);
                if (value.Split(',').FirstOrDefault(form => !Forms.Contains(form)) is not null)
                {
                    result.AddError(
                        OptionTypes.Complaint("--log", value, $"{string.Join(", ", Forms)}, or several with commas")
                    );
                }

                return value;
            },
        };
        Option.CompletionSources.Add(Forms);
    }

    public Option<string> Option { get; }

    /// <summary>Returns the forms; none for a command without the option.</summary>
    public IReadOnlySet<string> Read(CommandContext context) =>
        (context.Get(Option) ?? JsonLines).Split(',').ToHashSet(StringComparer.Ordinal);
}
