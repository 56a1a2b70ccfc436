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

    /// <summary>
    /// Updates a matrix and its momentum once: <c>m = momentum · m + g</c>, and the matrix by <c>−η · scale · O</c>,
    /// where O is g + momentum · m after five steps of <see cref="Orthogonalize(Tensor)"/>.
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
        Check.Operand(parameter, DType.F32, [-1, -1]);
        Check.SameAs(gradient, parameter);
        Check.SameAs(m, parameter);
        Run(MatrixBatch.Single(parameter), gradient, m, momentum, scale, state, rate);
    }

    /// <summary>
    /// Updates matrices and their momenta once, like
    /// <see cref="Step(Tensor, Tensor, Tensor, float, float, StepState, float)"/> for each, in as many launches as a
    /// single one takes.
    /// </summary>
    /// <param name="parameter">b matrices [m, n] F32; updated.</param>
    /// <param name="gradient">As the parameters lie, F32; clipped on the fly, not changed.</param>
    /// <param name="m">[b, m, n] F32, zero before step 1; updated.</param>
    /// <param name="momentum">Share of m that is left in a step.</param>
    /// <param name="scale">Factor of the step, such as 0.2 √max(m, n).</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">Their factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        in MatrixBatch parameter,
        in MatrixBatch gradient,
        Tensor m,
        float momentum,
        float scale,
        StepState state,
        float rate = 1
    )
    {
        parameter.Verify(nameof(parameter));
        gradient.VerifyLike(parameter, nameof(gradient));
        Check.Operand(m, parameter.Tensor, [parameter.Count, parameter.Rows, parameter.Columns]);
        Run(parameter, gradient.Tensor, m, momentum, scale, state, rate);
    }

    /// <summary>
    /// Computes <c>m = momentum · m + g</c> and the direction <c>g + momentum · m</c>. In a skipped step neither is
    /// written.
    /// </summary>
    /// <param name="gradient">Any shape, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Shape of the gradient, F32, zero before step 1; updated.</param>
    /// <param name="momentum">Share of m that is left in a step.</param>
    /// <param name="direction">Shape of the gradient, F32; written.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Accumulate(Tensor gradient, Tensor m, float momentum, Tensor direction, StepState state)
    {
        Check.Operand(gradient, DType.F32);
        Check.SameAs(m, gradient);
        Check.SameAs(direction, gradient);
        Begin(new MatrixBatch(gradient, 0, 1, checked((int)gradient.Count)), m, momentum, direction, state);
    }

    /// <summary>
    /// Does the same as <see cref="Accumulate(Tensor, Tensor, float, Tensor, StepState)"/> for each of some matrices,
    /// in one launch.
    /// </summary>
    /// <param name="gradient">b matrices [m, n] F32; clipped on the fly, not changed.</param>
    /// <param name="m">[b, m, n] F32, zero before step 1; updated.</param>
    /// <param name="momentum">Share of m that is left in a step.</param>
    /// <param name="direction">[b, m, n] F32; written.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Accumulate(in MatrixBatch gradient, Tensor m, float momentum, Tensor direction, StepState state)
    {
        gradient.Verify(nameof(gradient));
        Check.Operand(m, gradient.Tensor, [gradient.Count, gradient.Rows, gradient.Columns]);
        Check.SameAs(direction, m);
        Begin(gradient, m, momentum, direction, state);
    }

    /// <summary>
    /// Computes <c>parameter = parameter (1 − rate η ω) − rate η · scale · direction</c>, unless the step is skipped.
    /// </summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="direction">Shape of the parameter, F32.</param>
    /// <param name="scale">Factor of the step.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Apply(Tensor parameter, Tensor direction, float scale, StepState state, float rate = 1)
    {
        Check.Rate(rate);
        Check.Operand(parameter, DType.F32);
        Check.SameAs(direction, parameter);
        Update(new MatrixBatch(parameter, 0, 1, checked((int)parameter.Count)), direction, scale, state, rate);
    }

    /// <summary>
    /// Does the same as <see cref="Apply(Tensor, Tensor, float, StepState, float)"/> for each of some matrices, in one
    /// launch.
    /// </summary>
    /// <param name="parameter">b matrices [m, n] F32; updated.</param>
    /// <param name="direction">[b, m, n] F32.</param>
    /// <param name="scale">Factor of the step.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">Their factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Apply(in MatrixBatch parameter, Tensor direction, float scale, StepState state, float rate = 1)
    {
        Check.Rate(rate);
        parameter.Verify(nameof(parameter));
        Check.Operand(direction, parameter.Tensor, [parameter.Count, parameter.Rows, parameter.Columns]);
        Update(parameter, direction, scale, state, rate);
    }

    /// <summary>
    /// Divides a matrix by its Frobenius norm + 1e-7 and makes its singular values nearly equal, by five steps of
    /// <c>X ← (a I + b A + c A²) X, A = X Xᵀ</c> with (a, b, c) = (3.4445, −4.7750, 2.0315). They end between about 0.7
    /// and 1.2, except those that were nearly 0.
    /// </summary>
    /// <param name="x">
    /// [m, n] or [b, m, n] F32, each matrix for itself; overwritten. Where m exceeds n, the smaller XᵀX takes the place
    /// of A.
    /// </param>
    /// <exception cref="ArgumentException">The shape or type does not fit.</exception>
    public static void Orthogonalize(Tensor x) => Orthogonalize(x, NewtonSchulz.Muon);

    /// <summary>Does the same as <see cref="Orthogonalize(Tensor)"/> with other coefficients.</summary>
    /// <param name="x">
    /// [m, n] or [b, m, n] F32, each matrix for itself; overwritten. Where m exceeds n, the smaller XᵀX takes the place
    /// of A.
    /// </param>
    /// <param name="coefficients">The coefficients (a, b, c).</param>
    /// <exception cref="ArgumentException">The shape or type does not fit.</exception>
    public static void Orthogonalize(Tensor x, NewtonSchulz coefficients)
    {
        if (x.Shape.Rank == 3)
            Check.Operand(x, DType.F32, [-1, -1, -1]);
        else
            Check.Operand(x, DType.F32, [-1, -1]);
        if (x.Count == 0)
            return;
        Device device = x.Device;
        int batch = x.Shape.Rank == 3 ? x.Dim(0) : 1;
        (int m, int n) = (x.Dim(x.Shape.Rank - 2), x.Dim(x.Shape.Rank - 1));
        using var other = Tensor.Empty(device, x.Shape);
        Normalize(x, other, batch);
        bool isTall = m > n;
        int size = Math.Min(m, n);
        using var gram = Tensor.Empty(device, (batch, size, size));
        using var polynomial = Tensor.Empty(device, gram.Shape);
        GemmOperand square = All(gram, size);
        GemmOperand factor = All(polynomial, size);
        (Tensor from, Tensor to) = (other, x);
        for (int step = 0; step < Steps; step++) // an odd number: the last one writes x
        {
            GemmOperand matrix = All(from, n);
            if (isTall)
                Gemm.Run(matrix.Transpose(), matrix, square, new GemmSize(size, size, m, batch));
            else
                Gemm.Run(matrix, matrix.Transpose(), square, new GemmSize(size, size, n, batch));
            Combine.AddIdentity(gram, coefficients.Cubic, coefficients.Linear, polynomial);
            Gemm.Run(square, square, factor, new GemmSize(size, size, size, batch), coefficients.Quintic, 1);
            if (isTall)
                Gemm.Run(matrix, factor, All(to, n), new GemmSize(m, n, size, batch));
            else
                Gemm.Run(factor, matrix, All(to, n), new GemmSize(m, n, size, batch));
            (from, to) = (to, from);
        }

        GemmOperand All(Tensor tensor, int columns) => new(tensor, 0, columns, tensor.Count / batch);
    }

    private static void Normalize(Tensor x, Tensor y, int batch)
    {
        long count = x.Count / batch;
        int blocks = Launch.Blocks(count, MuonArgs.Squares.Threads * MuonArgs.ElementsPerPart);
        int parts = blocks * MuonArgs.Squares.Threads;
        using var sums = Tensor.Empty(x.Device, (batch, parts), DType.F64);
        using var norms = Tensor.Empty(x.Device, batch);
        var args = new MuonArgs
        {
            X = x.Pointer,
            Y = y.Pointer,
            Parts = sums.Pointer,
            Norm = norms.Pointer,
            Count = count,
            PartsCount = parts,
        };
        Launch.Batch(MuonArgs.Squares, x.Device, args, (blocks, batch));
        MuonArgs.Norms.Launch(x.Device, args, batch);
        Launch.Batch(MuonArgs.Normalize, x.Device, args, (Launch.FlatBlocks(count, DType.F32), batch));
    }

    /// <summary>Allocates a direction for each of some matrices, [b, m, n] F32, which the caller disposes.</summary>
    internal static Tensor Directions(in MatrixBatch parameter) =>
        Tensor.Empty(parameter.Tensor.Device, (parameter.Count, parameter.Rows, parameter.Columns));

    /// <summary>Launches what <see cref="Apply(in MatrixBatch, Tensor, float, StepState, float)"/> checks.</summary>
    internal static void Update(in MatrixBatch parameter, Tensor direction, float scale, StepState state, float rate)
    {
        Check.SameDevice(state.Device, parameter.Tensor, nameof(state));
        if (parameter.MatrixCount == 0)
            return;
        var args = new MuonArgs
        {
            Parameter = parameter.Pointer,
            X = direction.Pointer,
            State = state.Pointer,
            Stride = parameter.Stride,
            Count = parameter.MatrixCount,
            Scale = scale,
            Rate = rate,
        };
        Launch.Batch(MuonArgs.Update, state.Device, args, (Launch.FlatBlocks(args.Count, DType.F32), parameter.Count));
    }

    private static void Begin(in MatrixBatch gradient, Tensor m, float momentum, Tensor direction, StepState state)
    {
        Check.SameDevice(state.Device, gradient.Tensor, nameof(state));
        if (gradient.MatrixCount == 0)
            return;
        var args = new MuonArgs
        {
            Gradient = gradient.Pointer,
            M = m.Pointer,
            X = direction.Pointer,
            State = state.Pointer,
            Stride = gradient.Stride,
            Count = gradient.MatrixCount,
            Momentum = momentum,
        };
        Launch.Batch(MuonArgs.Begin, state.Device, args, (Launch.FlatBlocks(args.Count, DType.F32), gradient.Count));
    }

    private static void Run(
        in MatrixBatch parameter,
        Tensor gradient,
        Tensor m,
        float momentum,
        float scale,
        StepState state,
        float rate
    )
    {
        Check.Rate(rate);
        using Tensor directions = Directions(parameter);
        Begin(parameter with { Tensor = gradient }, m, momentum, directions, state);
        Orthogonalize(directions);
        Update(parameter, directions, scale, state, rate);
    }
}
