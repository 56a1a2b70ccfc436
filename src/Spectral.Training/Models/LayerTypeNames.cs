namespace Spectral.Training.Models;

/// <summary>The names that <c>config.json</c> has for the types of layers.</summary>
internal static class LayerTypeNames
{
    /// <summary>A layer without a window.</summary>
    public const string Full = "full_attention";

    /// <summary>A layer with a window.</summary>
    public const string Sliding = "sliding_attention";
}
