using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>The key by which families say how far attention looks back.</summary>
internal static class WindowKeys
{
    /// <summary>The key; null means no window.</summary>
    public const string Window = "sliding_window";

    private const int Default = 4096;

    /// <summary>The window; 0 = none. An absent key is the default of transformers.</summary>
    /// <exception cref="InputException">It is not a whole number from 0 on.</exception>
    public static int Read(JsonFields fields) =>
        fields.IsGiven(Window) ? fields.Integer(Window, 0, int.MaxValue) ?? 0 : Default;

    /// <summary>Refuses an impossible window also where the family has none.</summary>
    /// <exception cref="InputException">It is not a whole number from 0 on.</exception>
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
