using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>The forms of the low-rank kernels that cases of whole layers do not choose.</summary>
internal static class LowRankKernels
{
    private const int Rows = 2048;
    private const int Side = 256;

    public static IEnumerable<Plan> Plans(Machine machine) =>
        [
            .. new[] { 64, 128 }.Select(rank =>
                KernelSet.Plan(machine, $"passes 256->256 M=2048 r={rank}", set => Passes(set, rank))
            ),
            KernelSet.Plan(machine, "tile-row 256->256 M=128 r=16", TileRow),
            KernelSet.Plan(machine, "reduce 2048 x 32", Reductions),
            KernelSet.Plan(machine, "merge 256 x 1024 r=16", Merges),
        ];

    private static void Passes(KernelSet set, int rank)
    {
        Tensor x = set.Normal((Rows, Side), DType.BF16);
        Tensor dy = set.Normal((Rows, Side), DType.BF16);
        var factors = new LowRankFactors(
            set.Normal((Side, rank), DType.BF16),
            set.Normal(rank),
            set.Normal((rank, Side), DType.BF16)
        );
        Tensor z = set.Normal((Rows, rank), DType.BF16);
        Tensor g = set.Normal((Rows, rank), DType.BF16);
        var gradients = new LowRankGradients(set.Empty((Side, rank)), Middle: set.Empty(rank));
        Tensor right = set.Empty((rank, Side));
        (double wide, double narrow, double factor) = ((double)Rows * Side, (double)Rows * rank, (double)rank * Side);
        void Add(string name, double bytes, double flops, Action pass) =>
            set.Add(name, bytes, flops, () => LowRankChoices.With(set.Device, null, LowRankPassKind.Kernels, pass));
        Add(
            "project",
            sizeof(ushort) * (wide + factor + narrow),
            2 * wide * rank,
            () => LowRank.Project(x, factors.Right, z)
        );
        Add(
            "output-gradients",
            sizeof(ushort) * (wide + factor + 2 * narrow) + sizeof(float) * (factor + rank),
            4 * wide * rank,
            () => LowRank.OutputGradients(dy, factors, z, g, null, gradients)
        );
        Add(
            "input-gradient",
            sizeof(ushort) * (wide + narrow) + sizeof(float) * factor,
            2 * wide * rank,
            () => LowRank.InputGradient(g, x, [(right, 0)], 1)
        );
    }

    /// <summary>As many rows as a tile has: the Hopper kernels then run without a cluster.</summary>
    private static void TileRow(KernelSet set)
    {
        (int rows, int rank) = (128, 16);
        Tensor x = set.Normal((rows, Side), DType.BF16);
        Tensor y = set.Normal((rows, Side), DType.BF16);
        Tensor dx = set.Empty((rows, Side), DType.BF16);
        Tensor z = set.Empty((rows, rank), DType.BF16);
        Tensor weight = set.Normal((Side, Side), DType.BF16);
        var factors = new LowRankFactors(
            set.Normal((Side, rank), DType.BF16),
            set.Normal(rank),
            set.Normal((rank, Side), DType.BF16)
        );
        var gradients = new LowRankGradients(
            set.Empty((Side, rank)),
            Middle: set.Empty(rank),
            Right: set.Empty((rank, Side))
        );
        void Add(string name, Action run) =>
            set.Add(
                name,
                0,
                0,
                () => LowRankChoices.With(set.Device, LowRankVariant.Hopper, LowRankPassKind.Kernels, run)
            );
        Add("forward", () => LowRankLinear.Forward(x, weight, null, factors, y, z));
        Add("backward", () => LowRankLinear.Backward(x, weight, factors, z, y, dx, gradients));
        if (LowRankLinearHopper.RefusesDevice(set.Device) is not null)
            return;
        foreach (int tile in LowRankLinearHopper.Tiles)
        {
            foreach (LowRankDirection direction in Enum.GetValues<LowRankDirection>())
            {
                bool forward = direction == LowRankDirection.Forward;
                var call = new LowRankCase(set.Device, DType.BF16, direction, rows, Side, Side, rank);
                Tensor factor = forward ? factors.Left : factors.Right;
                var product = new LowRankProduct(call, x, weight, z, 1, factor, null, y, Accumulate: false);
                var kernel = new LowRankLinearHopper(tile);
                set.Add($"{(forward ? "y" : "dx")}-{tile}", 0, 0, () => kernel.Run(product));
            }
        }
    }

    private static void Reductions(KernelSet set)
    {
        (int shares, int columns) = (4, 32);
        Tensor partial = set.Normal((shares, Rows, columns));
        Tensor middle = set.Normal(columns);
        double count = (double)Rows * columns;
        double partials = sizeof(float) * shares * count;
        double factors = sizeof(float) * columns;
        foreach (DType type in KernelSet.Types)
        {
            double size = type.Size();
            string name = type.ToString().ToLowerInvariant();
            Tensor result = set.Normal((Rows, columns), type);
            Tensor scaled = set.Normal((Rows, columns), type);
            Tensor gradient = set.Zeros(columns);
            set.Add(
                "rows-" + name,
                partials + 2 * size * count + factors,
                shares * count,
                () => LowRankReduce.Rows(partial, result, middle, 1, scaled)
            );
            set.Add(
                "scale-columns-" + name,
                2 * size * count + factors,
                count,
                () => LowRankReduce.ScaleColumns(result, middle, 1, scaled)
            );
            set.Add(
                "middle-" + name,
                2 * size * count + factors,
                2 * count,
                () => LowRankReduce.MiddleGradient(result, scaled, 1, gradient, false)
            );
        }
    }

    private static void Merges(KernelSet set)
    {
        (int rows, int columns, int rank) = (256, 1024, 16);
        foreach (
            (string name, DType weights, DType factors) in new[]
            {
                ("f32", DType.F32, DType.F32),
                ("f32-into-bf16", DType.BF16, DType.F32),
            }
        )
        {
            Tensor weight = set.Normal((rows, columns), weights);
            Tensor merged = set.Empty((rows, columns), weights);
            var of = new LowRankFactors(
                set.Normal((rows, rank), factors),
                set.Normal(rank),
                set.Normal((rank, columns), factors)
            );
            set.Add(
                name,
                2.0 * weights.Size() * rows * columns
                    + (double)factors.Size() * rank * (rows + columns)
                    + sizeof(float) * rank,
                2.0 * rows * columns * rank,
                () => LowRank.Merge(weight, of, merged)
            );
        }
    }
}
