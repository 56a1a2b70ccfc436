using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>y = x − x Vᵀ V of the rows of x [N, D]: what they have along the rows of V [k, D] is taken out.</summary>
internal sealed class AblationNode : Node
{
    private readonly Node _input;
    private readonly Tensor _directions;

    private AblationNode(Node input, Tensor directions) => (_input, _directions) = (input, Save(directions));

    /// <summary>Takes directions out of a value.</summary>
    /// <param name="tape">The tape to record on.</param>
    /// <param name="x">The value [N, D].</param>
    /// <param name="directions">V [k, D], orthonormal rows, of the same type.</param>
    public static Variable Apply(Tape tape, Variable x, Tensor directions)
    {
        bool records = tape.Records && x.Node is not null;
        Tensor y = Without(x.Value, directions);
        return new Variable(y, records ? tape.Record(new AblationNode(x.Node!, directions)) : null);
    }

    /// <summary>The projection is symmetric, so that it is its own adjoint.</summary>
    protected override void Backward(Tensor gradient) => Deposit(_input, Without(gradient, _directions));

    private static Tensor Without(Tensor x, Tensor directions)
    {
        using var along = Tensor.Empty(x.Device, (x.Dim(0), directions.Dim(0)), x.DType);
        Gemm.Run(x, Gemm.Transposed(directions), along);
        var left = Tensor.Empty(x.Device, x.Shape, x.DType);
        left.CopyFrom(x);
        Gemm.Run(along, directions, left, -1, 1);
        return left;
    }
}
