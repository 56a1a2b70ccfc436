namespace Spectral.Kernels.Quantization;

/// <summary>
/// Holds the scales of a quantised weight as codes of 8 bits (double quantisation; Dettmers et al., "QLoRA", 2023):
/// <c>scale[b] = Map[Codes[b]] · Largest[b / 256] + Mean</c>. The tensors may be filled in place, as when a file is
/// loaded.
/// </summary>
public sealed class CompressedScales : IDisposable
{
    /// <summary>Number of scales that share a largest magnitude.</summary>
    public const int Block = 256;

    private const int MapValues = 256;

    /// <summary>Allocates codes, largest magnitudes and map; their elements are not initialized.</summary>
    /// <param name="device">Device that holds them.</param>
    /// <param name="count">Number of scales.</param>
    /// <param name="mean">Number that is added to each.</param>
    /// <exception cref="ArgumentException">There are no scales, or the mean is not finite.</exception>
    /// <exception cref="Driver.CudaException">Device memory ran out.</exception>
    public CompressedScales(Device device, int count, float mean)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (count < 1)
            throw new ArgumentException($"count is {count}, expected at least 1", nameof(count));
        if (!float.IsFinite(mean))
            throw new ArgumentException($"mean is {mean}, expected a finite number", nameof(mean));
        Mean = mean;
        Codes = Tensor.Empty(device, count, DType.U8);
        Largest = Tensor.Empty(device, (count + Block - 1) / Block);
        Map = Tensor.Empty(device, MapValues);
    }

    /// <summary>Takes ownership of tensors of the sizes that <see cref="CompressedScales"/> has.</summary>
    internal CompressedScales(Tensor codes, Tensor largest, Tensor map, float mean) =>
        (Codes, Largest, Map, Mean) = (codes, largest, map, mean);

    /// <summary>Returns the bytes of the codes, largest magnitudes and map of some scales.</summary>
    internal static long[] PartBytes(long count) =>
        [count, (count + Block - 1) / Block * sizeof(float), MapValues * sizeof(float)];

    /// <summary>Code of each scale, [count] U8.</summary>
    public Tensor Codes { get; }

    /// <summary>Largest magnitude of each 256 scales less the mean, [⌈count/256⌉] F32.</summary>
    public Tensor Largest { get; }

    /// <summary>
    /// Value of each code, [256] F32: the signed dynamic map where this library compressed the scales.
    /// </summary>
    public Tensor Map { get; }

    /// <summary>Number that is added to each scale.</summary>
    public float Mean { get; }

    /// <summary>Size of all in bytes.</summary>
    public long Bytes => Codes.Bytes + Largest.Bytes + Map.Bytes;

    /// <summary>Releases the device memory; a second call does nothing.</summary>
    public void Dispose()
    {
        Codes.Dispose();
        Largest.Dispose();
        Map.Dispose();
    }
}
