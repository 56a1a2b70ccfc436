using System.CommandLine;
using System.Globalization;
using Spectral.Cli.Hosting;

namespace Spectral.Cli.Options;

/// <summary>--layers: numbers and ranges of decoder layers.</summary>
internal sealed class LayersOption
{
    private const string Name = "--layers";
    private const int Largest = 100_000;

    public Option<string> Option { get; } =
        new(Name)
        {
            Description =
                "Decoder layers to merge, from 0; all other tensors stay as in the base. [default: the whole model]",
            HelpName = "N,N-N",
            DefaultValueFactory = _ => "",
            CustomParser = result =>
            {
                string value = OptionTypes.Value(result);
                if (Parse(value) is null)
                {
                    result.AddError(
                        OptionTypes.Complaint(Name, value, "numbers and ranges separated by commas, such as 0-7,12")
                    );
                }
                return value;
            },
        };

    /// <summary>Returns the numbers of the layers; null if none are given.</summary>
    public IReadOnlyList<int>? Read(CommandContext context) =>
        context.IsGiven(Option) ? Parse(context.Get(Option)) : null;

    private static List<int>? Parse(string list)
    {
        List<int> layers = [];
        foreach (string entry in OptionTypes.Entries(list))
        {
            string[] ends = entry.Split('-');
            if (ends.Length > 2 || Number(ends[0]) is not { } first || Number(ends[^1]) is not { } last || last < first)
                return null;
            layers.AddRange(Enumerable.Range(first, last - first + 1));
        }
        return layers;
    }

    private static int? Number(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number < Largest
            ? number
            : null;
}
