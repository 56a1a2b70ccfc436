namespace Spectral.Kernels;

/// <summary>
/// Describes a row-major matrix inside a tensor, or a batch of them a fixed stride apart, as one operand of a product.
/// </summary>
/// <param name="Tensor">The tensor that holds it, F32 or BF16.</param>
/// <param name="Offset">Elements before the first one.</param>
/// <param name="LeadingDimension">Elements from one stored row to the next, at least the stored columns.</param>
/// <param name="Stride">Elements from one matrix of a batch to the next; 0 repeats the same one.</param>
/// <param name="Transposed">Whether the product uses the transpose of what is stored.</param>
public readonly record struct GemmOperand(
    Tensor Tensor,
    long Offset,
    int LeadingDimension,
    long Stride = 0,
    bool Transposed = false
)
{
    internal ulong Pointer => Tensor.Pointer + (ulong)(Offset * Tensor.DType.Size());

    /// <summary>Returns the transpose of this operand. Nothing is copied.</summary>
    public GemmOperand Transpose() => this with { Transposed = !Transposed };
}
