namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>
/// Every kernel that a training step, an adapter or an SVD launches, alone and in all its forms, to be counted. Nothing
/// is timed: a step's own time says more, and the kernels' tests say whether they are right.
/// </summary>
internal sealed class KernelCase : BenchCase
{
    public override string Name => "kernels";
    public override int Target => 0;
    public override string Description => "Each kernel alone, for spectral-bench count.";

    public override bool IsOnlyCounted => true;

    public override IEnumerable<Plan> Plans(Machine machine) =>
        [
            .. BlockKernels.Plans(machine),
            .. StepKernels.Plans(machine),
            .. AttentionKernels.Plans(machine),
            .. ExpressionKernels.Plans(machine),
            .. LowRankKernels.Plans(machine),
            .. QuantizedKernels.Plans(machine),
            .. LinalgKernels.Plans(machine),
        ];
}
