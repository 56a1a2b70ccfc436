using Spectral.Training.Adapters;

namespace Spectral.Cli.Options;

/// <summary>The kinds of --bias, whose names are those of PEFT.</summary>
internal static class BiasNames
{
    public const string None = "none";
    public const string Adapted = "lora_only";
    public const string All = "all";

    /// <summary>Returns the kind of a name; null: it is none.</summary>
    public static AdapterBias? Parse(string name) =>
        name switch
        {
            All => AdapterBias.All,
            Adapted => AdapterBias.Adapted,
            None => AdapterBias.None,
            _ => null,
        };

    /// <summary>Returns the value of --bias that some options have.</summary>
    public static string Of(AdapterOptions options) =>
        options.Bias switch
        {
            AdapterBias.All when options.BiasModules.Count > 0 => string.Join(',', options.BiasModules),
            AdapterBias.All => All,
            AdapterBias.Adapted => Adapted,
            _ => None,
        };
}
