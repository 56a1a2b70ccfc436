using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>The names of activations in <c>config.json</c>, which are those of transformers.</summary>
internal static class ActivationNames
{
    private static readonly (string Name, Activation Activation)[] All =
    [
        ("silu", Activation.Silu),
        ("swish", Activation.Silu),
        ("gelu", Activation.Gelu),
        ("gelu_pytorch_tanh", Activation.GeluTanh),
        ("gelu_new", Activation.GeluTanh),
        ("gelu_fast", Activation.GeluTanh),
    ];

    /// <summary>Reads an activation, of those that a family's feed-forward layer can have.</summary>
    /// <param name="fields">The fields of <c>config.json</c>.</param>
    /// <param name="family">The family, which names the key and what an absent one means.</param>
    /// <exception cref="InputException">The family has no such activation.</exception>
    public static Activation Read(JsonFields fields, ModelFamily family) => Read(fields, family.ActivationKey, family);

    /// <summary>Reads an activation under a key.</summary>
    /// <exception cref="InputException">The family has no such activation.</exception>
    public static Activation Read(JsonFields fields, string key, ModelFamily family)
    {
        if (fields.Text(key) is not { } name)
            return family.DefaultActivation;
        (string Name, Activation Activation)[] known =
        [
            .. All.Where(each => family.Activations.Contains(each.Activation)),
        ];
        int at = Array.FindIndex(known, each => each.Name == name);
        return at >= 0
            ? known[at].Activation
            : throw fields.Wrong(key, $"one of {string.Join(", ", known.Select(each => each.Name))}");
    }

    /// <summary>Returns the activation of a name; null if there is none.</summary>
    public static Activation? Find(string name) =>
        All.Where(each => each.Name == name).Select(each => (Activation?)each.Activation).FirstOrDefault();

    /// <summary>Writes the activation of a config under the family's key.</summary>
    public static void Write(ModelConfig config, Utf8JsonWriter json) =>
        Write(config, config.Family.ActivationKey, json);

    /// <summary>Writes the activation of a config under a key.</summary>
    public static void Write(ModelConfig config, string key, Utf8JsonWriter json) =>
        json.WriteString(key, All.First(each => each.Activation == config.Activation).Name);
}
