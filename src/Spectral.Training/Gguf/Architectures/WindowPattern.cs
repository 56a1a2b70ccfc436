using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>
/// Which layers have a window, as llama.cpp counts them: with a period n, every layer but each n-th; with 0, all.
/// </summary>
internal static class WindowPattern
{
    /// <summary>Returns the period of a config's layers; null: there is none.</summary>
    public static int? PeriodOf(ModelConfig config)
    {
        bool[] slides = [.. Enumerable.Range(0, config.Layers).Select(layer => config.WindowOf(layer) > 0)];
        if (Array.TrueForAll(slides, has => has))
            return 0;
        int period = 1 + Array.IndexOf(slides, false);
        for (int layer = 0; layer < slides.Length; layer++)
        {
            if (slides[layer] != (layer % period < period - 1))
                return null;
        }
        return period;
    }

    /// <summary>Returns what keeps llama.cpp from having a config's windows; null: nothing.</summary>
    public static string? Obstacle(ModelConfig config) =>
        PeriodOf(config) switch
        {
            null => "windows in layers that do not repeat regularly, expected every layer but each n-th",
            1 => "no layer with a window, expected some",
            _ => null,
        };

    /// <summary>Adds the window and the period.</summary>
    public static void Add(GgufArchitecture architecture, ModelConfig config, GgufMetadata metadata)
    {
        metadata.Add(architecture.Key("attention.sliding_window"), config.SlidingWindow);
        metadata.Add(architecture.Key("attention.sliding_window_pattern"), PeriodOf(config)!.Value);
    }
}
