using Spectral.Kernels;

namespace Spectral.Training.Autograd;

/// <summary>
/// Receives the gradient of a value that nothing on this tape produced; its gradient is taken by whoever made it.
/// </summary>
internal sealed class LeafNode : Node
{
    protected override void Backward(Tensor gradient) { }
}
