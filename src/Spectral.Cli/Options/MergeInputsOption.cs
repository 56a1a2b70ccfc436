using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Training.IO;
using Spectral.Training.Merging;

namespace Spectral.Cli.Options;

/// <summary>--input DIR[=weight], once for each input of a merge, and --weights for all of them.</summary>
internal sealed class MergeInputsOption
{
    private const string Input = "--input";

    public Option<string[]> Inputs { get; } =
        new(Input)
        {
            Description =
                "An adapter of the model, or a whole tuned checkpoint of it, and its weight; may be given several "
                + "times.",
            HelpName = "DIR[=X]",
            CustomParser = result =>
            {
                string[] values = [.. result.Tokens.Select(token => token.Value)];
                if (values.FirstOrDefault(value => value.Length == 0 || value.Contains('\0')) is { } odd)
                    result.AddError(OptionTypes.Complaint(Input, odd, "a folder, or a folder and =weight"));
                return values;
            },
        };

    public Option<string> Weights { get; } =
        OptionTypes.List(
            "--weights",
            "The weights of all inputs, in their order, in place of those behind the folders.",
            "X,X",
            "numbers separated by commas, such as 0.5,0.5"
        );

    /// <summary>Returns the inputs with their weights.</summary>
    /// <exception cref="InputException">A weight does not parse, or the number of weights differs.</exception>
    public MergeInput[] Read(CommandContext context)
    {
        MergeInput[] inputs = [.. (context.Get(Inputs) ?? []).Select(Parse)];
        if (!context.IsGiven(Weights))
            return inputs;
        string given = context.Get(Weights);
        string[] weights = OptionTypes.Entries(given);
        if (inputs.FirstOrDefault(input => input.Weight is not null) is { } twice)
        {
            throw new InputException(
                $"--weights \"{given}\": {twice.Directory} has a weight already; expected one of the two"
            );
        }

        if (weights.Length != inputs.Length)
        {
            throw new InputException(
                $"--weights \"{given}\": {weights.Length} weights; expected one for each of the {inputs.Length} inputs"
            );
        }

        return [.. inputs.Zip(weights, (input, weight) => input with { Weight = Number("--weights", given, weight) })];
    }

    // A folder may have "=" in its name.
    private static MergeInput Parse(string given)
    {
        int equals = given.LastIndexOf('=');
        return equals < 1 || Directory.Exists(given)
            ? new MergeInput(given)
            : new MergeInput(given[..equals], Number(Input, given, given[(equals + 1)..]));
    }

    private static double Number(string option, string given, string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double weight)
        && double.IsFinite(weight)
            ? weight
            : throw new InputException($"{option} \"{given}\": \"{text}\" is no weight; expected a number");
}
