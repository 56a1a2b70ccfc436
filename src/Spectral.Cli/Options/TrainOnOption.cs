using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Data;

namespace Spectral.Cli.Options;

/// <summary>--train-on: which tokens of conversations carry loss.</summary>
internal sealed class TrainOnOption
{
    public Option<string> Option { get; } =
        OptionTypes.Choice(
            "--train-on",
            "Which tokens of {\"messages\"} records carry loss: all turns of the assistant, its last turn only "
                + "(completion), or everything.",
            "assistant",
            "assistant",
            "completion",
            "all"
        );

    public TrainOn Read(CommandContext context) => Enum.Parse<TrainOn>(context.Get(Option), ignoreCase: true);
}
