using System.Globalization;

namespace Spectral.Training.Models;

/// <summary>
/// The parameters in which transformers 5 keeps the weights of all experts of a layer, and the linear layers of single
/// experts that they consist of.
/// </summary>
internal static class ExpertParameters
{
    /// <summary>Gate and up of all experts, [E, 2F, D], within a decoder layer.</summary>
    public const string GateUp = "mlp.experts.gate_up_proj";

    /// <summary>Down of all experts, [E, D, F], within a decoder layer.</summary>
    public const string Down = "mlp.experts.down_proj";

    /// <summary>The part of a name in which all names of experts agree.</summary>
    public const string Experts = ".experts.";

    private const string Weight = ".weight";

    // The names of Mixtral's layers before transformers 5.
    private const string OldMixture = ".block_sparse_moe";
    private const string Mixture = ".mlp";

    private static readonly string[] Gates = ["gate_proj", "w1"];
    private static readonly string[] Ups = ["up_proj", "w3"];
    private static readonly string[] Downs = ["down_proj", "w2"];

    /// <summary>Returns the full name of the parameter that holds a linear layer's weight.</summary>
    public static string Of(string module) => Place(module) is { } place ? place.Parameter : Renamed(module) + Weight;

    /// <summary>Returns where in a parameter of all experts a layer of one is; null: it is of no expert.</summary>
    public static ExpertPlace? Place(string module)
    {
        int at = module.IndexOf(Experts, StringComparison.Ordinal);
        int start = at + Experts.Length;
        int end = at < 0 ? -1 : module.IndexOf('.', start);
        if (end < 0 || !int.TryParse(module.AsSpan(start, end - start), CultureInfo.InvariantCulture, out int expert))
        {
            return null;
        }

        string name = module[(end + 1)..];
        string prefix = Renamed(module[..start]);
        if (Gates.Contains(name))
            return new(prefix + "gate_up_proj", expert, IsUp: false, IsDown: false);
        if (Ups.Contains(name))
            return new(prefix + "gate_up_proj", expert, IsUp: true, IsDown: false);
        return Downs.Contains(name) ? new(prefix + "down_proj", expert, IsUp: false, IsDown: true) : null;
    }

    /// <summary>Returns whether a target names a parameter of all experts, which no layer's name ends with.</summary>
    public static bool IsOne(string target) =>
        target.EndsWith("experts.gate_up_proj", StringComparison.Ordinal)
        || target.EndsWith("experts.down_proj", StringComparison.Ordinal);

    /// <summary>Returns whether a target of a file can be a parameter of a model that is read here.</summary>
    public static bool CanBe(string target) =>
        IsOne(target)
        || target is "gate_up_proj" or "down_proj"
        || (
            target.EndsWith(Weight, StringComparison.Ordinal)
            && !target.EndsWith("experts" + Weight, StringComparison.Ordinal)
        );

    /// <summary>Returns the name that Mixtral's checkpoints have for a layer, from that of transformers 5.</summary>
    public static string OldName(string module)
    {
        string old = module.Replace(Mixture + ".gate", OldMixture + ".gate", StringComparison.Ordinal);
        if (Place(module) is not { } place)
            return old;
        string leaf = place switch
        {
            { IsDown: true } => Downs[1],
            { IsUp: true } => Ups[1],
            _ => Gates[1],
        };
        string experts = module[..module.LastIndexOf('.')];
        return experts.Replace(Mixture + Experts, OldMixture + Experts, StringComparison.Ordinal) + "." + leaf;
    }

    /// <summary>Returns whether a target is a parameter, or the end of the name of one.</summary>
    public static bool Matches(string target, string parameter) =>
        parameter == target || parameter.EndsWith("." + target, StringComparison.Ordinal);

    private static string Renamed(string module) =>
        ("." + module).Replace(OldMixture, Mixture, StringComparison.Ordinal)[1..];
}
