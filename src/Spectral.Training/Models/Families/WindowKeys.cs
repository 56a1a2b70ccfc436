using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Reads and writes the key with which families limit how far attention looks back.</summary>
internal static class WindowKeys
{
    /// <summary>The key. The value null means no window.</summary>
    public const string Window = "sliding_window";

    private const int Default = 4096;

    /// <summary>Reads the window; 0: none. An absent key means transformers' default.</summary>
    /// <exception cref="InputException">The value is not a whole number of at least 0.</exception>
    public static int Read(JsonFields fields) =>
        fields.IsGiven(Window) ? fields.Integer(Window, 0, int.MaxValue) ?? 0 : Default;

    /// <summary>Refuses an impossible window even if the family has no window.</summary>
    /// <exception cref="InputException">The value is not a whole number of at least 0.</exception>
    public static void Check(JsonFields fields) => fields.Integer(Window, 0, int.MaxValue);

    /// <summary>Writes the window of a config.</summary>
    public static void Write(ModelConfig config, Utf8JsonWriter json)
    {
        if (config.SlidingWindow > 0)
            json.WriteNumber(Window, config.SlidingWindow);
        else
            json.WriteNull(Window);
    }
}
