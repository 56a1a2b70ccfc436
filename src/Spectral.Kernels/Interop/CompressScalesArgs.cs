namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>compress_scales.cu</c>: scales of a quantised weight as codes of 8 bits.</summary>
public struct CompressScalesArgs
{
    /// <summary>The kernel <c>compress_scales_f32</c>; one thread per 256 scales.</summary>
    public static readonly KernelEntry<CompressScalesArgs> Kernel = new("compress_scales", 64, "compress_scales_f32");

    /// <summary>Device address of the scales, [Count] F32.</summary>
    public ulong Scales;

    /// <summary>Device address of the mean that is subtracted from each, [1] F32.</summary>
    public ulong Mean;

    /// <summary>Device address of their codes, [Count] U8; written.</summary>
    public ulong Codes;

    /// <summary>Device address of the largest magnitude of each 256, [⌈Count/256⌉] F32; written.</summary>
    public ulong Most;

    /// <summary>Device address of the value of each code, [256] F32; written.</summary>
    public ulong Map;

    /// <summary>Number of scales to compress.</summary>
    public long Count;
}
