using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Reads and writes the key with which families limit how far attention looks back.</summary>
internal static class WindowKeys
{
    /// <summary>The key. The value null means no window.</summary>
    public const string Window = "sliding_window";

    /// <summary>The key of the layers' types, <c>full_attention</c> or <c>sliding_attention</c>.</summary>
    public const string LayerTypes = "layer_types";

    private const int Default = 4096;

    /// <summary>Reads the window; 0: none. An absent key means transformers' default.</summary>
    /// <exception cref="InputException">The value is not a whole number of at least 0.</exception>
    public static int Read(JsonFields fields) =>
        fields.IsGiven(Window) ? fields.Integer(Window, 0, int.MaxValue) ?? 0 : Default;

    /// <summary>Refuses an impossible window even if the family has no window.</summary>
    /// <exception cref="InputException">The value is not a whole number of at least 0.</exception>
    public static void Check(JsonFields fields) => fields.Integer(Window, 0, int.MaxValue);

    /// <summary>Reads which layers have a window; null if the config does not list them.</summary>
    /// <exception cref="InputException">
    /// There is not one type for each layer, a type is unknown, or a layer asks for a window where none is given.
    /// </exception>
    public static IReadOnlyList<bool>? ReadLayers(JsonFields fields, int layers, int window)
    {
        if (fields.Texts(LayerTypes) is not { } types)
            return null;
        if (types.Count != layers)
            throw fields.Wrong(LayerTypes, $"{layers}, one for each layer");
        int unknown = types.ToList().FindIndex(type => type is not (LayerTypeNames.Full or LayerTypeNames.Sliding));
        if (unknown >= 0)
        {
            throw fields.Wrong(
                $"{LayerTypes}[{unknown}]",
                fields.Array(LayerTypes)!.Value[unknown],
                $"{LayerTypeNames.Full} or {LayerTypeNames.Sliding}"
            );
        }
        return window > 0 || !types.Contains(LayerTypeNames.Sliding)
            ? [.. types.Select(type => type == LayerTypeNames.Sliding)]
            : throw fields.Wrong(
                LayerTypes,
                $"{LayerTypeNames.Full} alone, as there is no window: {Window} is null or not in use"
            );
    }

    /// <summary>Writes which layers have a window.</summary>
    public static void WriteLayers(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteStartArray(LayerTypes);
        for (int layer = 0; layer < config.Layers; layer++)
            json.WriteStringValue(config.WindowOf(layer) > 0 ? LayerTypeNames.Sliding : LayerTypeNames.Full);
        json.WriteEndArray();
    }

    /// <summary>Writes the window of a config.</summary>
    public static void Write(ModelConfig config, Utf8JsonWriter json)
    {
        if (config.SlidingWindow > 0)
            json.WriteNumber(Window, config.SlidingWindow);
        else
            json.WriteNull(Window);
    }
}
