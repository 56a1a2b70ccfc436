using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Generation;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>The options of the commands that generate text: length and sampling.</summary>
internal sealed class SamplingOptions(int maxTokens)
{
    private readonly Option<int> _maxTokens = OptionTypes.Integer(
        "--max-tokens",
        "Maximum number of tokens to generate.",
        maxTokens,
        1,
        1 << 20
    );
    private readonly Option<double> _temperature = OptionTypes.Number(
        "--temperature",
        "Sampling temperature; 0 always takes the most probable token.",
        0,
        x => x >= 0,
        "a number of at least 0"
    );
    private readonly Option<double> _topP = OptionTypes.Number(
        "--top-p",
        "Sample from the most probable tokens whose probabilities add up to this value.",
        1,
        x => x is > 0 and <= 1,
        "a number above 0 and at most 1"
    );
    private readonly Option<ulong> _seed = OptionTypes.Seed("Random seed for sampling.");

    public Option[] All => [_maxTokens, _temperature, _topP, _seed];

    /// <summary>Reads the options, and warns of a seed that changes nothing.</summary>
    /// <exception cref="InputException">Options that exclude each other are given.</exception>
    public GenerationOptions Read(CommandContext context, IReadOnlyList<int> endTokens)
    {
        if (context.Get(_temperature) == 0 && context.IsGiven(_topP))
        {
            throw new InputException(
                $"--top-p {context.Text(_topP)}: nothing is sampled without --temperature; expected one above 0"
            );
        }

        if (context.Get(_temperature) == 0 && context.IsGiven(_seed))
        {
            context.Terminal.Warn(
                $"--seed {context.Text(_seed)} changes nothing: without --temperature nothing is sampled"
            );
        }

        return new GenerationOptions
        {
            MaxTokens = context.Get(_maxTokens),
            EndTokenIds = endTokens,
            Temperature = context.Get(_temperature),
            TopP = context.Get(_topP),
            Seed = context.Get(_seed),
        };
    }
}
