using System.CommandLine.Parsing;
using Spectral.Training.Objectives;

namespace Spectral.Cli.Options;

/// <summary>The names of losses as values of an option.</summary>
internal static class LossNames
{
    /// <summary>Parses the name of one loss.</summary>
    public static string One(ArgumentResult result)
    {
        string value = OptionTypes.Value(result);
        string[] known = [.. LossMethods.All.Select(method => method.Name)];
        if (!known.Contains(value))
        {
            result.AddError(
                OptionTypes.Complaint(
                    ((OptionResult)result.Parent!).Option.Name,
                    value,
                    "one of " + string.Join(", ", known)
                )
            );
        }

        return value;
    }
}
