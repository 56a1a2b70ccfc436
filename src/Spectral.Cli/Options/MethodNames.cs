using System.CommandLine.Parsing;
using Spectral.Training.Adapters;

namespace Spectral.Cli.Options;

/// <summary>The names of adapter methods as values of an option.</summary>
internal static class MethodNames
{
    /// <summary>The value of <c>compare --methods</c> that names all methods.</summary>
    public const string Every = "all";

    /// <summary>Parses the name of one method, the value of --adapter.</summary>
    public static string One(ArgumentResult result)
    {
        string value = OptionTypes.Value(result);
        if (!AdapterMethods.Has(value))
        {
            result.AddError(
                OptionTypes.Complaint("--adapter", value, $"map(NAME), or one of {string.Join(", ", Known)}")
            );
        }

        return value;
    }

    /// <summary>Parses a list of methods, the value of --methods.</summary>
    public static string Several(ArgumentResult result)
    {
        string value = OptionTypes.Value(result);
        string[] names = Entries(value);
        if (names.Any(name => !AdapterMethods.Has(name)))
        {
            result.AddError(
                OptionTypes.Complaint("--methods", value, "all, or names among " + string.Join(", ", Known))
            );
        }
        else if (names.Distinct().Count() < names.Length)
        {
            result.AddError(OptionTypes.Complaint("--methods", value, "each name once"));
        }

        return value;
    }

    /// <summary>
    /// Returns the names in a list. Of all methods lora is the first, as the first one sets the budget.
    /// </summary>
    public static string[] Entries(string list) =>
        list == Every ? [.. Known.OrderByDescending(name => name == "lora")] : OptionTypes.Entries(list);

    private static string[] Known => [.. AdapterMethods.All.Select(method => method.Name)];
}
