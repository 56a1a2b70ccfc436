namespace Spectral.Kernels;

/// <summary>Type of the elements of a <see cref="Tensor"/>.</summary>
public enum DType
{
    /// <summary>IEEE 754 single precision, 4 bytes.</summary>
    F32,

    /// <summary>bfloat16: the upper half of a single-precision number, 2 bytes.</summary>
    BF16,

    /// <summary>Signed 32-bit integer, 4 bytes: token ids and indices.</summary>
    I32,

    /// <summary>IEEE 754 double precision, 8 bytes: small factorizations.</summary>
    F64,

    /// <summary>Unsigned 8-bit integer, 1 byte: codes of quantised weights.</summary>
    U8,
}
