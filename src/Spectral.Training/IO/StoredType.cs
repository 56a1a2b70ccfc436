namespace Spectral.Training.IO;

/// <summary>
/// The element types a safetensors file can hold. Read and written as numbers: F32, F16, BF16 and (read only) F64.
/// </summary>
public enum StoredType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>Unsigned 8 bit.</summary>
    U8,

    /// <summary>Signed 8 bit.</summary>
    I8,

    /// <summary>4-bit float, two in a byte.</summary>
    F4,

    /// <summary>6-bit float, 2 exponent bits.</summary>
    F6E2M3,

    /// <summary>6-bit float, 3 exponent bits.</summary>
    F6E3M2,

    /// <summary>8-bit float, 5 exponent bits.</summary>
    F8E5M2,

    /// <summary>8-bit float, 4 exponent bits.</summary>
    F8E4M3,

    /// <summary>8-bit power of two.</summary>
    F8E8M0,

    /// <summary>8-bit float, 5 exponent bits, no negative zero.</summary>
    F8E5M2Fnuz,

    /// <summary>8-bit float, 4 exponent bits, no negative zero.</summary>
    F8E4M3Fnuz,

    /// <summary>Signed 16 bit.</summary>
    I16,

    /// <summary>Unsigned 16 bit.</summary>
    U16,

    /// <summary>IEEE half.</summary>
    F16,

    /// <summary>The upper half of an F32.</summary>
    BF16,

    /// <summary>Signed 32 bit.</summary>
    I32,

    /// <summary>Unsigned 32 bit.</summary>
    U32,

    /// <summary>IEEE single.</summary>
    F32,

    /// <summary>Signed 64 bit.</summary>
    I64,

    /// <summary>Unsigned 64 bit.</summary>
    U64,

    /// <summary>IEEE double.</summary>
    F64,

    /// <summary>Complex of two F32.</summary>
    C64,
}
