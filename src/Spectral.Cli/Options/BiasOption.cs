using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Training.Adapters;
using Spectral.Training.IO;

namespace Spectral.Cli.Options;

/// <summary>
/// --bias: which biases train, by PEFT's names of the kinds, or those of single layers, in the option or as
/// <c>@FILE</c>. Its value is the names themselves, so that a run knows them again when it resumes.
/// </summary>
internal sealed class BiasOption
{
    private const string Name = "--bias";

    private const string Expectation =
        $"one of {BiasNames.None}, {BiasNames.Adapted}, {BiasNames.All}, or full names of layers, such as "
        + "model.layers.3.self_attn.q_proj";

    public Option<string> Option { get; } =
        new(Name)
        {
            Description =
                "Biases of the model to train with the adapter: none, those of the adapted layers (lora_only), those "
                + "of all linear layers (all), or those of the layers that are named, separated by commas. `spectral "
                + "place --bias-out` writes such a file.",
            HelpName = $"{BiasNames.None}|{BiasNames.Adapted}|{BiasNames.All}|NAMES|@FILE",
            DefaultValueFactory = _ => BiasNames.None,
            CustomParser = result =>
            {
                string given = OptionTypes.Value(result);
                try
                {
                    string[] entries = given.StartsWith('@') ? OptionFile.Entries(given[1..]) : given.Split(',');
                    bool isKind = entries is [BiasNames.None or BiasNames.Adapted or BiasNames.All];
                    if (entries.Length == 0 || (!isKind && !Array.TrueForAll(entries, entry => entry.Contains('.'))))
                        result.AddError(OptionTypes.Complaint(Name, given, Expectation));
                    return string.Join(',', entries);
                }
                catch (InputException error)
                {
                    result.AddError($"{Name} \"{given}\": {error.Message}; expected names of layers in the file");
                    return BiasNames.None;
                }
            },
        };

    /// <summary>Returns some options with the biases that are named.</summary>
    public AdapterOptions Apply(CommandContext context, AdapterOptions options)
    {
        string value = context.Get(Option);
        return BiasNames.Parse(value) is { } kind
            ? options with
            {
                Bias = kind,
            }
            : options with
            {
                Bias = AdapterBias.All,
                BiasModules = value.Split(','),
            };
    }
}
