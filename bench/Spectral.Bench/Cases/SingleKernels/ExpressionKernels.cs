using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>Kernels of the expressions that adapter methods are written in.</summary>
internal static class ExpressionKernels
{
    private const int Rows = 256;
    private const int Columns = 1024;
    private const double Count = (double)Rows * Columns;
    private const double Bytes = sizeof(float) * Count;

    public static IEnumerable<Plan> Plans(Machine machine) =>
        [
            KernelSet.Plan(machine, "map 256 x 1024", Maps),
            KernelSet.Plan(machine, "broadcast 256 x 1024", Broadcasts),
            KernelSet.Plan(machine, "arrange 256 x 1024", Arrangements),
            KernelSet.Plan(machine, "combine 256 x 1024", Combinations),
            KernelSet.Plan(machine, "mixture 64 of 32 x 1024 k=2", Mixtures),
            KernelSet.Plan(machine, "inverse 8 x 32 x 32", set => Inverses(set, 32)),
            KernelSet.Plan(machine, "inverse 8 x 48 x 48", set => Inverses(set, 48)),
            KernelSet.Plan(machine, "rescale 1024", Rescaling),
            .. KernelSet.Plans(machine, "entries 2048 of 256 x 1024", SingleEntries),
            KernelSet.Plan(machine, "choice 2048 of 256 x 1024", Choices),
        ];

    private static void Maps(KernelSet set)
    {
        Tensor x = set.Normal((Rows, Columns));
        Tensor dy = set.Normal((Rows, Columns));
        Tensor y = set.Empty((Rows, Columns));
        foreach (MapFunction function in Enum.GetValues<MapFunction>())
        {
            string name = function.ToString().ToLowerInvariant();
            set.Add(name, 2 * Bytes, 0, () => ElementwiseMap.Forward(x, y, function));
            // The sign's derivative is 0 everywhere, so x is not read.
            double read = function == MapFunction.Sign ? 1 : 2;
            set.Add(name + "-backward", (read + 1) * Bytes, 0, () => ElementwiseMap.Backward(x, dy, y, function));
        }
    }

    private static void Broadcasts(KernelSet set)
    {
        Tensor x = set.Normal((Rows, Columns));
        Tensor y = set.Normal((Rows, Columns));
        Tensor z = set.Empty((Rows, Columns));
        foreach (
            (Broadcast broadcast, int count) in new[]
            {
                (Broadcast.PerRow, Rows),
                (Broadcast.PerColumn, Columns),
                (Broadcast.Single, 1),
            }
        )
        {
            Tensor vector = set.Normal(count);
            string name = broadcast.ToString().ToLowerInvariant();
            set.Add(
                "multiply-" + name,
                2 * Bytes + sizeof(float) * count,
                3 * Count,
                () => BroadcastMultiply.Run(x, vector, z, broadcast)
            );
            set.Add(
                "dot-" + name,
                2 * Bytes + sizeof(float) * count,
                2 * Count,
                () => BroadcastDot.Run(x, y, vector, broadcast)
            );
        }
    }

    private static void Arrangements(KernelSet set)
    {
        const int folds = 64; // result elements of a source element, more than a thread sums
        Tensor x = set.Normal((Rows, Columns));
        Tensor y = set.Normal((Rows, Columns));
        Tensor transposed = set.Empty((Columns, Rows));
        int[] shuffled = [.. Enumerable.Range(0, Rows * Columns).Select(i => i * 37 % (Rows * Columns))];
        IndexTable once = set.Own(new IndexTable(set.Device, shuffled, shuffled.Length));
        IndexTable often = set.Own(
            new IndexTable(
                set.Device,
                [.. Enumerable.Range(0, Rows * Columns).Select(i => i / folds)],
                Rows * Columns / folds
            )
        );
        Tensor few = set.Empty(Rows * Columns / folds);
        double table = sizeof(int) * Count;
        set.Add("permute", 2 * Bytes, 0, () => Permute.Run(x, [1, 0], transposed));
        set.Add("rearrange", 2 * Bytes + table, 0, () => Rearrange.Forward(x, once, y));
        set.Add("rearrange-backward", 2 * Bytes + 2 * table, Count, () => Rearrange.Backward(y, once, x));
        set.Add(
            "rearrange-folds",
            Bytes + table + (Bytes + table) / folds,
            Count,
            () => Rearrange.Backward(y, often, few)
        );
    }

    private static void Combinations(KernelSet set)
    {
        const int directions = 4;
        Tensor x = set.Normal((Rows, Columns));
        Tensor y = set.Normal((Rows, Columns));
        Tensor z = set.Empty((Rows, Columns));
        Tensor alpha = set.Normal(directions);
        Tensor gradient = set.Empty(directions);
        double numbers = sizeof(float) * directions;
        set.Add("combine", 3 * Bytes, 3 * Count, () => Combine.Run(x, 0.5f, y, 2, z));
        set.Add(
            "random-combination",
            2 * Bytes + numbers,
            2 * Count * directions,
            () => RandomCombination.Forward(x, alpha, z, 1, 1, 0.1f)
        );
        set.Add(
            "random-combination-backward",
            Bytes + numbers,
            2 * Count * directions,
            () => RandomCombination.Backward(y, gradient, 1, 1, 0.1f)
        );
    }

    private static void Mixtures(KernelSet set)
    {
        (int pieces, int bank, int length, int chosen) = (64, 32, 1024, 2);
        Tensor logits = set.Normal((pieces, bank));
        Tensor vectors = set.Normal((bank, length));
        Tensor index = set.Empty((pieces, chosen), DType.I32);
        Tensor weight = set.Empty((pieces, chosen));
        Tensor y = set.Empty((pieces, length));
        Tensor dy = set.Normal((pieces, length));
        Tensor dLogits = set.Empty((pieces, bank));
        Tensor dBank = set.Empty((bank, length));
        TopKMixture.Select(logits, index, weight);
        double all = sizeof(float) * (double)pieces * bank;
        double choices = 2.0 * sizeof(float) * pieces * chosen;
        double of = sizeof(float) * (double)bank * length;
        double rows = sizeof(float) * (double)pieces * length;
        set.Add("select", all + choices, 0, () => TopKMixture.Select(logits, index, weight));
        set.Add(
            "forward",
            of + rows + choices,
            2.0 * chosen * pieces * length,
            () => TopKMixture.Forward(vectors, index, weight, y)
        );
        set.Add(
            "backward-logits",
            of + rows + choices + all,
            2.0 * chosen * pieces * length,
            () => TopKMixture.BackwardLogits(vectors, index, weight, dy, dLogits)
        );
        set.Add(
            "backward-bank",
            of + rows + choices,
            2.0 * chosen * pieces * length,
            () => TopKMixture.BackwardBank(index, weight, dy, dBank)
        );
    }

    private static void Inverses(KernelSet set, int n)
    {
        const int batch = 8;
        Tensor x = set.Normal((batch, n, n));
        Tensor y = set.Empty((batch, n, n));
        set.Add(
            "inverse",
            2.0 * sizeof(float) * batch * n * n,
            2.0 * batch * n * n * n,
            () => MatrixInverse.Forward(x, y)
        );
    }

    private static void Rescaling(KernelSet set)
    {
        (int directions, int extra) = (1024, 16);
        Tensor sigma = set.Normal(directions);
        Tensor delta = set.Normal(directions);
        Tensor middle = set.Empty(directions + extra);
        Tensor dMiddle = set.Normal(directions);
        Tensor dDelta = set.Empty(directions);
        double vector = sizeof(float) * directions;
        set.Add(
            "middle",
            3 * vector + sizeof(float) * extra,
            directions,
            () => SpectralRescale.Middle(sigma, delta, 1, middle)
        );
        set.Add("gradient", 3 * vector, directions, () => SpectralRescale.DeltaGradient(dMiddle, sigma, dDelta));
    }

    private static void SingleEntries(KernelSet set, DType type)
    {
        const int tokens = 64;
        const int count = 2048;
        double each = 2 * sizeof(float) + type.Size();
        Tensor x = set.Normal((Rows, Columns), type);
        Tensor values = set.Zeros(count);
        Tensor index = set.Indices(count, k => k * (Rows * Columns / count) + k * 37 % 128);
        Tensor dy = set.Normal((tokens, Rows), type);
        Tensor inputs = set.Normal((tokens, Columns), type);
        set.Add("gather", each * count, 0, () => Entries.Gather(x, index, values));
        set.Add("add", (each + type.Size()) * count, 2 * count, () => Entries.Add(values, index, x));
        set.Add(
            "sampled-product",
            type.Size() * (double)tokens * (Rows + Columns) + 2 * sizeof(float) * count,
            2.0 * count * tokens,
            () => SampledProduct.Run(dy, inputs, index, values)
        );
    }

    private static void Choices(KernelSet set)
    {
        const int count = 2048;
        Tensor x = set.Normal((Rows, Columns));
        Tensor index = set.Indices(count, k => k);
        set.Add("largest", Bytes + sizeof(int) * count, 0, () => LargestEntries.Find(x, index));
    }
}
