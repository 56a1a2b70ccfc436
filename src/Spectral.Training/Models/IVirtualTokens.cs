using Spectral.Kernels;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// Trained tokens that stand before the tokens of every row and take the first positions: embeddings, or the keys and
/// values that every layer would have computed for them.
/// </summary>
internal interface IVirtualTokens
{
    /// <summary>
    /// The values in the compute type, one row per token: embeddings [n, D], or for each layer keys and values [n,
    /// L·2·KV·hd]. They stay in the same memory.
    /// </summary>
    Tensor Values { get; }

    /// <summary>
    /// The tables of RoPE that leave the first n positions as they are, for keys that are used as given; null: the
    /// tokens are embeddings.
    /// </summary>
    RotaryTables? PrefixRotary { get; }

    /// <summary>
    /// Records the values as the first operation on a tape, whose gradient is [n, any] F32; null if they do not train
    /// or the tape does not record.
    /// </summary>
    Node? Record(Tape tape);
}
