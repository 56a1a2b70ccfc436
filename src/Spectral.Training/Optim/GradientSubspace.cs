using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// AdamW of a matrix in a subspace of its smaller side: moments are those of the coordinates that an orthonormal basis
/// gives the gradient, and the step is taken back into the matrix.
/// </summary>
internal sealed class GradientSubspace
{
    private readonly OptimizerRun _run;
    private readonly float _scale;
    private readonly float _rate;
    private readonly Tensor[] _memory; // coordinates, their step, and the step of the matrix; of the largest term

    private GradientSubspace(OptimizerRun run, int index, int rank, float scale, Tensor[] memory)
    {
        (_run, _scale, _memory) = (run, scale, memory);
        Parameter = run.Parameters.Parameters[index];
        _rate = (float)run.Parameters.RateOf(index);
        Shape shape = Parameter.Shape;
        IsWide = shape[0] < shape[1];
        (Side, Other) = IsWide ? (shape[0], shape[1]) : (shape[1], shape[0]);
        Rank = rank;
        FirstMoment = run.PerParameter(AdamWOptimizer.First, Parameter, (rank, Other));
        SecondMoment = run.PerParameter(AdamWOptimizer.Second, Parameter, (rank, Other));
    }

    /// <summary>The matrix whose gradient the subspace holds.</summary>
    public Parameter Parameter { get; }

    /// <summary>Whether the smaller side is the rows.</summary>
    public bool IsWide { get; }

    /// <summary>The length of its smaller side; of the columns if it is square.</summary>
    public int Side { get; }

    /// <summary>The length of its other side.</summary>
    public int Other { get; }

    /// <summary>The dimension of the subspace, below <see cref="Side"/>.</summary>
    public int Rank { get; }

    /// <summary>The mean of the coordinates, [rank, other].</summary>
    public Tensor FirstMoment { get; }

    /// <summary>The mean of their squares, [rank, other].</summary>
    public Tensor SecondMoment { get; }

    /// <summary>The gradient with the smaller side in rows, [side, other].</summary>
    public GemmMatrix Gradient => IsWide ? Parameter.Gradient! : Gemm.Transposed(Parameter.Gradient!);

    /// <summary>Returns whether a parameter is a matrix with both sides above the rank. Others get AdamW.</summary>
    public static bool Fits(Shape shape, int rank) => shape.Rank == 2 && Math.Min(shape[0], shape[1]) > rank;

    /// <summary>Returns the bytes of the moments of such a matrix.</summary>
    public static long MomentBytes(Shape shape, int rank) => 8L * rank * Math.Max(shape[0], shape[1]);

    /// <summary>
    /// Returns the rule that updates such matrices in their subspaces, and all other parameters with AdamW. It reads
    /// the step's number from the device.
    /// </summary>
    /// <param name="run">What the optimizer works with.</param>
    /// <param name="rank">The dimension of the subspaces.</param>
    /// <param name="scale">Factor of their steps.</param>
    /// <param name="basisOf">
    /// Returns, for a matrix, the function from a step's number to its basis, [rank, side] with orthonormal rows, which
    /// stays its own. It is not called for skipped steps.
    /// </param>
    public static OptimizerRule Rule(
        OptimizerRun run,
        int rank,
        float scale,
        Func<GradientSubspace, Func<long, Tensor>> basisOf
    )
    {
        IReadOnlyList<Parameter> parameters = run.Parameters.Parameters;
        int[] fitting = [.. Enumerable.Range(0, parameters.Count).Where(i => Fits(parameters[i].Shape, rank))];
        Tensor[] memory = Memory(run, [.. fitting.Select(i => parameters[i].Shape)], rank);
        List<(GradientSubspace Term, Func<long, Tensor> Basis)> terms = [];
        foreach (int index in fitting)
        {
            GradientSubspace term = new(run, index, rank, scale, memory);
            terms.Add((term, basisOf(term)));
        }

        AdamWPart rest = new(run, Enumerable.Range(0, parameters.Count).Except(fitting));
        return new OptimizerRule(() =>
        {
            (long step, _, bool isSkipped) = run.StepState.Read();
            if (isSkipped)
                return;
            foreach ((GradientSubspace term, Func<long, Tensor> basis) in terms)
                term.Update(basis(step));
            rest.Update();
        });
    }

    /// <summary>Returns the beginning of some memory in a shape. The caller disposes it.</summary>
    public static Tensor Part(Tensor memory, Shape shape)
    {
        using Tensor part = memory.Rows(0, checked((int)shape.Count));
        return part.View(shape);
    }

    private void Update(Tensor basis)
    {
        using Tensor coordinates = Part(_memory[0], (Rank, Other));
        using Tensor step = Part(_memory[1], (Rank, Other));
        using Tensor whole = Part(_memory[2], Parameter.Shape);
        Gemm.Run(basis, Gradient, coordinates);

        // From zero, AdamW leaves minus the learning rate times its quotient.
        step.Clear();
        AdamW.Step(step, coordinates, FirstMoment, SecondMoment, _run.StepState, _rate);
        if (IsWide)
            Gemm.Run(Gemm.Transposed(basis), step, whole, _scale);
        else
            Gemm.Run(Gemm.Transposed(step), basis, whole, _scale);
        ApplyUpdate.Step(Parameter.Master, whole, _run.StepState, _rate);
    }

    private static Tensor[] Memory(OptimizerRun run, Shape[] shapes, int rank)
    {
        if (shapes.Length == 0)
            return [];
        int low = checked((int)shapes.Max(shape => MomentBytes(shape, rank) / 8));
        return [run.Scratch(low), run.Scratch(low), run.Scratch(checked((int)shapes.Max(shape => shape.Count)))];
    }
}
