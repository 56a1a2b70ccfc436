using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024): a matrix moves along its
/// momentum with the singular values made nearly equal. Learning rate, decay and clip factor are those of a
/// <see cref="StepState"/>.
/// </summary>
public static class Muon
{
    private const int Steps = 5;
    private const float Linear = 3.4445f;
    private const float Cubic = -4.7750f;
    private const float Quintic = 2.0315f;

    /// <summary>
    /// Updates a matrix and its momentum once: <c>m = momentum · m + g</c>, and the matrix by <c>−η · scale · O</c>,
    /// where O is g + momentum · m after five steps of <see cref="Orthogonalize"/>.
    /// </summary>
    /// <param name="parameter">[m, n] F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Shape of the parameter, F32, zero before step 1; updated.</param>
    /// <param name="momentum">Share of m that is left in a step.</param>
    /// <param name="scale">Factor of the step, such as 0.2 √max(m, n).</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        Tensor parameter,
        Tensor gradient,
        Tensor m,
        float momentum,
        float scale,
        StepState state,
        float rate = 1
    )
    {
        Check.Rate(rate);
        Check.Operand(parameter, DType.F32, [-1, -1]);
        Check.SameAs(gradient, parameter);
        Check.SameAs(m, parameter);
        Check.SameDevice(state.Device, parameter, nameof(state));
        if (parameter.Count == 0)
            return;
        using var direction = Tensor.Empty(parameter.Device, parameter.Shape);
        var args = new MuonArgs
        {
            Parameter = parameter.Pointer,
            Gradient = gradient.Pointer,
            M = m.Pointer,
            X = direction.Pointer,
            State = state.Pointer,
            Count = parameter.Count,
            Momentum = momentum,
            Scale = scale,
            Rate = rate,
        };
        int blocks = Launch.FlatBlocks(args.Count, DType.F32);
        MuonArgs.Begin.Launch(state.Device, args, blocks);
        Orthogonalize(direction);
        MuonArgs.Update.Launch(state.Device, args, blocks);
    }

    /// <summary>
    /// Divides a matrix by its Frobenius norm + 1e-7 and makes its singular values nearly equal, by five steps of
    /// <c>X ← a X + (b A + c A²) X, A = X Xᵀ</c> with (a, b, c) = (3.4445, −4.7750, 2.0315). They end between about 0.7
    /// and 1.2, except those that were nearly 0.
    /// </summary>
    /// <param name="x">[m, n] F32; overwritten. Where m exceeds n, the smaller XᵀX takes the place of A.</param>
    /// <exception cref="ArgumentException">The shape or type does not fit.</exception>
    public static void Orthogonalize(Tensor x)
    {
        Check.Operand(x, DType.F32, [-1, -1]);
        if (x.Count == 0)
            return;
        Device device = x.Device;
        using var norm = Tensor.Empty(device, 1);
        GlobalNorm.Run([x], norm);
        var args = new MuonArgs
        {
            X = x.Pointer,
            Norm = norm.Pointer,
            Count = x.Count,
        };
        MuonArgs.Normalize.Launch(device, args, Launch.FlatBlocks(args.Count, DType.F32));
        bool isTall = x.Dim(0) > x.Dim(1);
        int size = Math.Min(x.Dim(0), x.Dim(1));
        using var gram = Tensor.Empty(device, (size, size));
        using var polynomial = Tensor.Empty(device, (size, size));
        using var before = Tensor.Empty(device, x.Shape);
        for (int step = 0; step < Steps; step++)
        {
            if (isTall)
                Gemm.Run(Gemm.Transposed(x), x, gram);
            else
                Gemm.Run(x, Gemm.Transposed(x), gram);
            polynomial.CopyFrom(gram);
            Gemm.Run(gram, gram, polynomial, Quintic, Cubic);
            before.CopyFrom(x);
            if (isTall)
                Gemm.Run(before, polynomial, x, 1, Linear);
            else
                Gemm.Run(polynomial, before, x, 1, Linear);
        }
    }
}
