namespace Spectral.Training.Gguf;

/// <summary>The types of a GGUF file's matrices. Vectors and routers are F32 in every file.</summary>
public enum GgufType
{
    /// <summary>A 32-bit IEEE float, 4 bytes per value.</summary>
    F32,

    /// <summary>A 16-bit IEEE float, 2 bytes per value.</summary>
    F16,

    /// <summary>A bfloat16, the upper half of an F32, 2 bytes per value.</summary>
    BF16,

    /// <summary>
    /// ggml's <c>Q8_0</c>: blocks of 32 signed bytes with one half-precision scale, 34 bytes for 32 values. A matrix
    /// whose rows do not fill blocks is F16 instead.
    /// </summary>
    Q8,
}
