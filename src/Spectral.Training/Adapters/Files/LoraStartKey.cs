using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// What <c>init_lora_weights</c> says about stored factors. After most starts they mean what they are. Some take what
/// the factors began as off the base, and then they mean something only once that is found again.
/// </summary>
internal static class LoraStartKey
{
    /// <summary>PEFT's name of a start by singular triplets.</summary>
    public const string Pissa = "pissa";

    private const string Key = "init_lora_weights";
    private const string RandomizedSvd = "pissa_niter_";

    // PEFT reads such a file onto the base as it is given, whichever that is.
    private const string OfGradient = "lora_ga";

    private static readonly string[] AtBase = ["gaussian", "orthogonal", "eva", "mica"];

    /// <summary>
    /// The start in lower case, that of an approximate SVD as that of the exact one; null: a plain one.
    /// </summary>
    public static string? Of(JsonFields fields)
    {
        if (fields.Find(Key) is not { ValueKind: JsonValueKind.String } value)
            return null;
        string start = value.GetString()!.ToLowerInvariant();
        return start.StartsWith(RandomizedSvd, StringComparison.Ordinal) ? Pissa : start;
    }

    /// <summary>
    /// The settings that a method has from the start; null: it is none whose factors can be found again from base
    /// weights.
    /// </summary>
    /// <exception cref="InputException">The stored factors belong to a base that nothing here leads back
    /// to.</exception>
    public static IReadOnlyDictionary<string, double>? FoundAgain(JsonFields fields, AdapterMethod method)
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

    /// <summary>What is odd about the start, if the factors are not those of a plain one; null: nothing.</summary>
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
