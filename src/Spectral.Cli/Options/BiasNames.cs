using Spectral.Training.Adapters;

namespace Spectral.Cli.Options;

/// <summary>The values of --bias, which are those of PEFT.</summary>
internal static class BiasNames
{
    public const string None = "none";
    public const string Adapted = "lora_only";
    public const string All = "all";

    public static AdapterBias Parse(string name) =>
        name switch
        {
            All => AdapterBias.All,
            Adapted => AdapterBias.Adapted,
            _ => AdapterBias.None,
        };

    public static string Of(AdapterBias bias) =>
        bias switch
        {
            AdapterBias.All => All,
            AdapterBias.Adapted => Adapted,
            _ => None,
        };
}
