using Spectral.Kernels;

namespace Spectral.Training.Autograd;

/// <summary>
/// Receives the gradient of a value that no operation on this tape produced. The creator of the node takes it.
/// </summary>
internal sealed class LeafNode : Node
{
    protected override void Backward(Tensor gradient) { }
}
