namespace Spectral.Training.Autograd;

/// <summary>Marks the beginning of a segment of the forward pass, where backward leaves it.</summary>
internal sealed class SegmentNode(Action leave) : Node
{
    private protected override void Pass() => leave();
}
