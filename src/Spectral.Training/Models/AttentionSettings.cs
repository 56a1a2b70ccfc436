using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>What an attention layer needs to know besides its inputs.</summary>
/// <param name="Batch">Rows of the batch, B.</param>
/// <param name="Length">Positions per row, S.</param>
/// <param name="Heads">Query heads, H.</param>
/// <param name="KeyValueHeads">Key/value heads; query head j reads key/value head ⌊j·KeyValueHeads/Heads⌋.</param>
/// <param name="HeadSize">Features per head, hd.</param>
/// <param name="Window">Sliding window in positions; 0 = none.</param>
/// <param name="Cosine">RoPE table [≥ S, hd/2] F32.</param>
/// <param name="Sine">RoPE table [≥ S, hd/2] F32.</param>
public readonly record struct AttentionSettings(
    int Batch,
    int Length,
    int Heads,
    int KeyValueHeads,
    int HeadSize,
    int Window,
    Tensor Cosine,
    Tensor Sine
);
