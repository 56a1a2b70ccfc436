namespace Spectral.Kernels.Interop;

/// <summary>
/// Describes a quantised weight to a kernel: a part of argument structs, laid out as <c>QuantizedWeight</c> in
/// <c>device/quantized.cuh</c>.
/// </summary>
public struct QuantizedSource
{
    /// <summary>
    /// Device address of the codes, one or two to a byte, the first of two in the high half; 16-byte aligned.
    /// </summary>
    public ulong Codes;

    /// <summary>Device address of the value of each code, [16] or [256] F32.</summary>
    public ulong Table;

    /// <summary>Device address of the scale of each block, F32; 0 where the scales are compressed.</summary>
    public ulong Scales;

    /// <summary>Device address of the code of each compressed scale, U8.</summary>
    public ulong ScaleCodes;

    /// <summary>Device address of the largest magnitude of each 256 compressed scales, F32.</summary>
    public ulong ScaleMost;

    /// <summary>Device address of the value of each code of a compressed scale, [256] F32.</summary>
    public ulong ScaleMap;

    /// <summary>Mean that is added to each compressed scale.</summary>
    public float ScaleMean;

    /// <summary>Number of columns of the whole weight.</summary>
    public int Columns;

    /// <summary>Binary logarithm of the elements of a flat block; negative where blocks are tiles.</summary>
    public int Shift;

    /// <summary>Number of rows of a tile.</summary>
    public int TileRows;

    /// <summary>Number of columns of a tile.</summary>
    public int TileColumns;

    /// <summary>Number of tiles beside one another.</summary>
    public int Tiles;
}
