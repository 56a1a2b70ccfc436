namespace Spectral.Training.IO;

/// <summary>
/// The element types that a safetensors file can hold. F32, F16 and BF16 can be read and written as numbers, F64 only
/// read.
/// </summary>
public enum StoredType
{
    /// <summary>A Boolean in one byte, 0 or 1.</summary>
    Bool,

    /// <summary>An unsigned 8-bit integer.</summary>
    U8,

    /// <summary>A signed 8-bit integer.</summary>
    I8,

    /// <summary>A 4-bit float, two in a byte.</summary>
    F4,

    /// <summary>A 6-bit float with 2 exponent bits.</summary>
    F6E2M3,

    /// <summary>A 6-bit float with 3 exponent bits.</summary>
    F6E3M2,

    /// <summary>An 8-bit float with 5 exponent bits.</summary>
    F8E5M2,

    /// <summary>An 8-bit float with 4 exponent bits.</summary>
    F8E4M3,

    /// <summary>An 8-bit power of two.</summary>
    F8E8M0,

    /// <summary>An 8-bit float with 5 exponent bits and no negative zero.</summary>
    F8E5M2Fnuz,

    /// <summary>An 8-bit float with 4 exponent bits and no negative zero.</summary>
    F8E4M3Fnuz,

    /// <summary>A signed 16-bit integer.</summary>
    I16,

    /// <summary>An unsigned 16-bit integer.</summary>
    U16,

    /// <summary>A 16-bit IEEE float, half precision.</summary>
    F16,

    /// <summary>A bfloat16: the upper half of an F32.</summary>
    BF16,

    /// <summary>A signed 32-bit integer.</summary>
    I32,

    /// <summary>An unsigned 32-bit integer.</summary>
    U32,

    /// <summary>A 32-bit IEEE float, single precision.</summary>
    F32,

    /// <summary>A signed 64-bit integer.</summary>
    I64,

    /// <summary>An unsigned 64-bit integer.</summary>
    U64,

    /// <summary>A 64-bit IEEE float, double precision.</summary>
    F64,

    /// <summary>A complex number of two F32.</summary>
    C64,
}
