using System.CommandLine.Parsing;
using Spectral.Training.Optim;

namespace Spectral.Cli.Options;

/// <summary>The names of optimizers as values of an option.</summary>
internal static class OptimizerNames
{
    private static string[] Known => [.. OptimizerMethods.All.Select(method => method.Name)];

    /// <summary>Parses the name of one optimizer, the value of --optimizer.</summary>
    public static string One(ArgumentResult result)
    {
        string value = OptionTypes.Value(result);
        if (!Known.Contains(value))
        {
            result.AddError(
                OptionTypes.Complaint(
                    ((OptionResult)result.Parent!).Option.Name,
                    value,
                    "one of " + string.Join(", ", Known)
                )
            );
        }

        return value;
    }

    /// <summary>Parses a list of optimizers, the value of --optimizers.</summary>
    public static string Several(ArgumentResult result)
    {
        string value = OptionTypes.Value(result);
        string[] names = OptionTypes.Entries(value);
        if (names.Any(name => !Known.Contains(name)))
            result.AddError(OptionTypes.Complaint("--optimizers", value, "names among " + string.Join(", ", Known)));
        else if (names.Distinct().Count() < names.Length)
            result.AddError(OptionTypes.Complaint("--optimizers", value, "each name once"));
        return value;
    }
}
