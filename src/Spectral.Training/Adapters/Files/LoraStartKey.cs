using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// Interprets <c>init_lora_weights</c>. After most starts the stored factors are complete. Some starts subtract the
/// start values from the base; the factors are then meaningful only once these values are recomputed.
/// </summary>
internal static class LoraStartKey
{
    /// <summary>PEFT's name of the start with singular triplets.</summary>
    public const string Pissa = "pissa";

    private const string Key = "init_lora_weights";
    private const string RandomizedSvd = "pissa_niter_";

    // PEFT applies such a file to whatever base it is given.
    private const string OfGradient = "lora_ga";

    private static readonly string[] AtBase = ["gaussian", "orthogonal", "eva", "mica"];

    /// <summary>
    /// Returns the start in lower case, with an approximate SVD named like the exact one; null for a plain start.
    /// </summary>
    public static string? Of(JsonFields fields)
    {
        if (fields.Find(Key) is not { ValueKind: JsonValueKind.String } value)
            return null;
        string start = value.GetString()!.ToLowerInvariant();
        return start.StartsWith(RandomizedSvd, StringComparison.Ordinal) ? Pissa : start;
    }

    /// <summary>
    /// Returns the settings with which a method recomputes the start; null if the start need not be recomputed.
    /// </summary>
    /// <exception cref="InputException">The stored factors belong to a base that cannot be recomputed here.</exception>
    public static IReadOnlyDictionary<string, double>? SettingsOf(JsonFields fields, AdapterMethod method)
    {
        if (method.PeftType != AdapterConfig.Lora || Of(fields) is not { } start)
            return null;
        if (start == OfGradient || AtBase.Contains(start))
            return null;
        return method.SettingsOfStart(start)
            ?? throw fields.Wrong(
                Key,
                start switch
                {
                    "corda" =>
                        "a start that follows from the base weights alone: corda's follows from data; convert the "
                            + "adapter with PEFT (path_initial_model_for_weight_conversion)",
                    "loftq" =>
                        "a start on the base as it is: loftq's factors belong to the base that it quantised; save that "
                            + "base and set true",
                    _ => "true, false or one of "
                        + string.Join(", ", [.. AtBase, OfGradient, Pissa, RandomizedSvd + "N", "olora"]),
                }
            );
    }

    /// <summary>
    /// Returns a warning about the start, if the factors differ from those of a plain start; null: none.
    /// </summary>
    public static string? Remark(JsonFields fields)
    {
        if (Of(fields) is not { } start)
            return null;
        if (start == OfGradient)
        {
            return $"{Key} is lora_ga: trained on a base from which its start was taken off, and read on the base "
                + "given, as PEFT does; right if that is the changed base, saved";
        }

        return start == Pissa && fields.Text(Key) != start
            ? $"{Key} is {InputText.Quote(fields.Text(Key)!)}: the start came from a randomised SVD and is taken "
                + "from the exact one, which differs a little"
            : null;
    }
}
