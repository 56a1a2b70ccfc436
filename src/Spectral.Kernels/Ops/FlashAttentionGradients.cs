namespace Spectral.Kernels.Ops;

/// <summary>
/// Names the tensors that <see cref="FlashAttention.Backward"/> writes; all are BF16 and are overwritten.
/// </summary>
/// <param name="Dq">Gradient of q, [B, H, S, hd].</param>
/// <param name="Dk">Gradient of k, [B, KV, S, hd].</param>
/// <param name="Dv">Gradient of v, [B·S, KV·hd].</param>
public readonly record struct FlashAttentionGradients(Tensor Dq, Tensor Dk, ColumnRange Dv);
