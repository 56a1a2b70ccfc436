using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Data;

namespace Spectral.Cli.Options;

/// <summary>--data FILE, for merge methods that run models: once for each input, or once for all.</summary>
internal sealed class MergeDataOption
{
    private const string Name = "--data";

    public Option<string[]> Option { get; } =
        new(Name)
        {
            Description =
                "Records, for methods that run the models; for some of them one file for "
                + "each input, in their order.",
            HelpName = "FILE",
            CustomParser = result =>
            {
                string[] values = [.. result.Tokens.Select(token => token.Value)];
                if (values.FirstOrDefault(value => value.Length == 0 || value.Contains('\0')) is { } odd)
                    result.AddError(OptionTypes.Complaint(Name, odd, "a file"));
                return values;
            },
        };

    /// <summary>Returns the files that are given.</summary>
    public string[] Files(CommandContext context) => context.Get(Option) ?? [];

    /// <summary>Returns the records of each file, encoded for the base.</summary>
    /// <exception cref="Training.IO.InputException">A file or one of its records is not valid.</exception>
    public IReadOnlyList<EncodedRecord>[] Encode(
        CommandContext context,
        ModelInputs inputs,
        EvaluationOptions evaluation
    ) => [.. Files(context).Select(file => evaluation.Encode(context, inputs, file))];
}
