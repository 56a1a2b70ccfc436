using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>A forward pass of one layer with a <see cref="TokenChange"/>.</summary>
/// <param name="Tape">The tape that records the operations.</param>
/// <param name="Rows">The tokens of the batch, a row of the layer's input each.</param>
/// <param name="Dropout">The mask on the input of low-rank products; null: none.</param>
internal readonly record struct TokenPass(Tape Tape, TokenRows Rows, DropoutMask? Dropout);
