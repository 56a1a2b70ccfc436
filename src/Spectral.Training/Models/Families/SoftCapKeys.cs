using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Reads and writes the keys with which the Gemma families cap scores and logits.</summary>
internal static class SoftCapKeys
{
    /// <summary>The key of the cap of attention's scores. The value null means none.</summary>
    public const string Attention = "attn_logit_softcapping";

    /// <summary>The key of the cap of the logits. The value null means none.</summary>
    public const string Logits = "final_logit_softcapping";

    private const double Smallest = 1e-3;
    private const double Largest = 1e6;

    /// <summary>Reads a cap; 0: none.</summary>
    /// <param name="fields">The fields of <c>config.json</c>.</param>
    /// <param name="key">The key of the cap.</param>
    /// <param name="absent">The cap if the key is absent.</param>
    /// <exception cref="InputException">The value is not a number that a cap can be.</exception>
    public static double Read(JsonFields fields, string key, double absent) =>
        fields.IsGiven(key) ? fields.Number(key, Smallest, Largest) ?? 0 : absent;

    /// <summary>Writes a cap under its key.</summary>
    public static void Write(Utf8JsonWriter json, string key, double cap)
    {
        if (cap > 0)
            json.WriteNumber(key, cap);
        else
            json.WriteNull(key);
    }
}
