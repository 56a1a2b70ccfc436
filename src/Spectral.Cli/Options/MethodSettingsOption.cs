using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Adapters;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>--set: the settings that an adapter method has of its own.</summary>
internal sealed class MethodSettingsOption
{
    private const string Name = "--set";

    // Of other options only the last value given counts; of this one every value does.
    public Option<string[]> Option { get; } =
        new(Name)
        {
            Description =
                "A setting of the adapter method; may be given several times. `spectral methods --adapter NAME` lists "
                + "the settings.",
            HelpName = "NAME=VALUE",
            CustomParser = result =>
            {
                string[] values = [.. result.Tokens.Select(token => token.Value)];
                if (values.FirstOrDefault(value => value.IndexOf('=') < 1) is { } odd)
                    result.AddError(OptionTypes.Complaint(Name, odd, "NAME=VALUE"));
                return values;
            },
        };

    /// <summary>Returns the settings that are given and that a method has.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="method">The method.</param>
    /// <param name="among">All methods that the settings are given for.</param>
    /// <exception cref="InputException">None of these methods has a setting of that name, or its value is out of
    /// range.</exception>
    public Dictionary<string, double> Read(
        CommandContext context,
        AdapterMethod method,
        IReadOnlyList<AdapterMethod> among
    )
    {
        var values = new Dictionary<string, double>();
        string[] known = [.. among.SelectMany(other => other.Settings).Select(setting => setting.Name).Distinct()];
        foreach (string given in context.Get(Option) ?? [])
        {
            int equals = given.IndexOf('=');
            string name = given[..equals];
            if (!known.Contains(name))
                throw new InputException($"{Name} \"{given}\": {Expectation(among, known)}");
            if (method.Settings.FirstOrDefault(setting => setting.Name == name) is { } found)
                values[name] = found.Parse(given[(equals + 1)..]);
        }
        return values;
    }

    private static string Expectation(IReadOnlyList<AdapterMethod> among, string[] known)
    {
        if (known.Length == 0)
            return $"{string.Join(", ", among.Select(method => method.Name))} has no settings of its own";
        string owner = among.Count == 1 ? among[0].Name : "these methods";
        return $"expected one of the settings of {owner}: {string.Join(", ", known)}";
    }
}
