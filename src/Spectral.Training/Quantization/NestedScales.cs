using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Scales that are quantised themselves ("double quantisation" of QLoRA, Dettmers et al. 2023, in bitsandbytes'
/// layout): scale i is map[code i] · absmax[i / block] + mean.
/// </summary>
internal sealed class NestedScales : WeightScales
{
    /// <summary>Takes the parts, of which the small ones are read.</summary>
    /// <param name="codes">A byte for each scale.</param>
    /// <param name="absmax">The largest magnitude of each block of scales.</param>
    /// <param name="map">The 256 values of the codes.</param>
    /// <param name="mean">What was subtracted from all scales.</param>
    /// <param name="block">The number of scales in a block.</param>
    public NestedScales(SafetensorsTensor codes, SafetensorsTensor absmax, float[] map, float mean, int block) =>
        (Codes, Absmax, Map, Mean, Block) = (codes, absmax, map, mean, block);

    /// <summary>A byte for each scale.</summary>
    public SafetensorsTensor Codes { get; }

    /// <summary>The largest magnitude of each block of scales.</summary>
    public SafetensorsTensor Absmax { get; }

    /// <summary>The 256 values of the codes.</summary>
    public float[] Map { get; }

    /// <summary>What was subtracted from all scales.</summary>
    public float Mean { get; }

    /// <summary>The number of scales in a block.</summary>
    public int Block { get; }

    /// <inheritdoc/>
    public override void Read(long first, Span<float> destination)
    {
        if (destination.IsEmpty)
            return;
        ReadOnlySpan<byte> codes = Codes.Slice(first, destination.Length);
        long firstBlock = first / Block;
        float[] largest = new float[(first + destination.Length - 1) / Block - firstBlock + 1];
        Absmax.ReadFloats(firstBlock, largest);
        for (int i = 0; i < codes.Length; i++)
            destination[i] = Map[codes[i]] * largest[(first + i) / Block - firstBlock] + Mean;
    }
}
