using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Building;

/// <summary>Chooses channels of layers, and writes the factors of ones and zeros that pick them.</summary>
internal static class Channels
{
    /// <summary>
    /// Draws as many channels as the rank says, ascending. The draw depends on the seed, the module that the layer is
    /// part of and the number of channels, so that layers side by side agree.
    /// </summary>
    /// <param name="start">The layer.</param>
    /// <param name="count">The number of channels to draw from.</param>
    public static int[] Draw(AdapterStart start, int count)
    {
        string name = start.Module.Name;
        string parent = name[..Math.Max(0, name.LastIndexOf('.'))];
        using var chosen = Tensor.Empty(start.Device, start.Options.Rank, DType.I32);
        LargestEntries.Draw(count, chosen, start.Options.Seed, RandomStream.For($"{parent}.channels"));
        return chosen.ToInt32Array();
    }

    /// <summary>
    /// Writes a selector: element (i, channels[i]) is 1, or (channels[i], i) in columns; all others are 0.
    /// </summary>
    /// <param name="channels">The channels.</param>
    /// <param name="selector">[channels, n] as rows, [n, channels] as columns; F32.</param>
    /// <param name="asRows">Whether each channel has a row.</param>
    public static void Select(int[] channels, Tensor selector, bool asRows)
    {
        int columns = selector.Dim(1);
        float[] values = new float[selector.Count];
        for (int i = 0; i < channels.Length; i++)
            values[asRows ? i * columns + channels[i] : channels[i] * columns + i] = 1;
        selector.CopyFrom(values);
    }
}
