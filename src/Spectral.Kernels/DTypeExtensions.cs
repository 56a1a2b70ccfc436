namespace Spectral.Kernels;

/// <summary>Gives the size and the name of an element type.</summary>
public static class DTypeExtensions
{
    /// <summary>Returns the size of one element in bytes.</summary>
    public static int Size(this DType type) =>
        type switch
        {
            DType.BF16 => 2,
            DType.F64 => 8,
            DType.U8 => 1,
            _ => 4,
        };

    /// <summary>
    /// Returns the ending of kernel names for this type: <c>f32</c>, <c>bf16</c>, <c>i32</c>, <c>f64</c> or <c>u8</c>.
    /// </summary>
    public static string Suffix(this DType type) =>
        type switch
        {
            DType.F32 => "f32",
            DType.BF16 => "bf16",
            DType.I32 => "i32",
            DType.U8 => "u8",
            _ => "f64",
        };
}
