using Spectral.Kernels;
using Spectral.Kernels.Linalg;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>
/// The randomized SVD as it runs on a GPU, its small problems in one block each, to be counted. The CPU device leaves
/// these to LAPACK, so the case <c>svd</c> does not count them.
/// </summary>
internal sealed class OneBlockSvdCase : BenchCase
{
    private const int Oversample = 16;

    public override string Name => "svd-one-block";
    public override int Target => 8;
    public override string Description => "Randomized SVD with all of its kernels, for spectral-bench count.";

    public override bool IsOnlyCounted => true;

    public override IEnumerable<Plan> Plans(Machine machine) =>
        [KernelSet.Plan(machine, "512 x 512 k=64 p=16 q=2", set => Add(set, 512, 512, rank: 64, iterations: 2))];

    /// <summary>Adds the SVD of one matrix.</summary>
    public static void Add(KernelSet set, int rows, int columns, int rank, int iterations)
    {
        Tensor matrix = set.Own(SvdMatrices.Decaying(set.Machine, rows, columns));
        var options = new RandomizedSvdOptions
        {
            Oversample = Oversample,
            PowerIterations = iterations,
            Where = SmallProblems.OneBlock,
        };
        // One pass for the sketch, two per iteration, one to project: each reads the matrix.
        double passes = 2 + 2 * iterations;
        set.Add(
            "randomized",
            passes * matrix.Bytes,
            passes * 2.0 * rows * columns * (rank + Oversample),
            () => RandomizedSvd.Compute(matrix, rank, options).Dispose()
        );
    }
}
