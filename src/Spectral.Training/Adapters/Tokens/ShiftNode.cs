using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>The middle h [N, p] plus a vector b [p] of the adapter, F32.</summary>
internal sealed class ShiftNode : Node
{
    private readonly Node? _middle;
    private readonly Expression _vector;

    private ShiftNode(Variable h, Expression vector) => (_middle, _vector) = (h.Node, vector);

    /// <summary>Adds the vector to each row of h, in whose memory the sum is.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="h">The middle [N, p], which no other operation may read.</param>
    /// <param name="vector">b [p].</param>
    public static Variable Apply(Tape tape, Variable h, Expression vector)
    {
        AddBias.Run(h.Value, vector.Value);
        bool records = tape.Records && (h.Node is not null || vector.Trains);
        return new Variable(h.Value.Share(), records ? tape.Record(new ShiftNode(h, vector)) : null);
    }

    /// <summary>Adds the gradient of b and passes that of h on.</summary>
    protected override void Backward(Tensor gradient)
    {
        if (_vector.GradientBuffer(out bool adds) is { } dVector)
            BiasGradient.Run(gradient, dVector, adds);
        _middle?.Accumulate(gradient.Share(), shared: true);
    }
}
