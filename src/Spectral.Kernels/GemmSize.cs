namespace Spectral.Kernels;

/// <summary>
/// Gives the shape of a product: C is [<paramref name="M"/>, <paramref name="N"/>] and the sums run over <paramref
/// name="K"/>.
/// </summary>
/// <param name="M">Rows of op(A) and of C.</param>
/// <param name="N">Columns of op(B) and of C.</param>
/// <param name="K">Columns of op(A) and rows of op(B).</param>
/// <param name="Batch">Number of products in the batch.</param>
public readonly record struct GemmSize(int M, int N, int K, int Batch = 1);
