using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>Kernels round the products of attention, and the fused one for small heads.</summary>
internal static class AttentionKernels
{
    private const int Heads = 8;
    private const int Groups = 2;
    private const int Length = 256;
    private const int Size = 128;
    private const int SmallSize = 64;
    private const float SoftCap = 2;
    private const int Batch = 4;
    private const double Count = (double)Heads * Length * Size;

    public static IEnumerable<Plan> Plans(Machine machine) =>
        [
            .. KernelSet.Plans(machine, "heads 8 x 128 S=256", Rotations),
            .. KernelSet.Plans(machine, "softmax 8 x 256 x 256", Softmaxes),
            .. KernelSet.Plans(machine, "decode B=4 H=8 KV=2 hd=128 n=256", Decode),
            KernelSet.Plan(machine, "fused S=256 H=2 KV=1 hd=64", set => Fused(set, SmallSize, 0)),
            KernelSet.Plan(machine, "fused S=256 H=2 KV=1 hd=64 capped", set => Fused(set, SmallSize, SoftCap)),
            KernelSet.Plan(machine, "fused S=256 H=2 KV=1 hd=128 capped", set => Fused(set, Size, SoftCap)),
        ];

    private static void Rotations(KernelSet set, DType type)
    {
        Tensor merged = set.Normal((Length, Heads * Size), type);
        Tensor split = set.Normal((1, Heads, Length, Size), type);
        Tensor cosine = set.Normal((Length, Size / 2));
        Tensor sine = set.Normal((Length, Size / 2));
        double copied = 2 * type.Size() * Count;
        double tables = 2 * sizeof(float) * (double)Length * Size / 2;
        set.Add("rope", copied + tables, 3 * Count, () => Rope.Forward(merged, cosine, sine, null, split));
        set.Add("rope-backward", copied + tables, 3 * Count, () => Rope.Backward(split, cosine, sine, merged));
        set.Add("split", copied, 0, () => Spectral.Kernels.Ops.Heads.Split(merged, split));
        set.Add("merge", copied, 0, () => Spectral.Kernels.Ops.Heads.Merge(split, merged));
    }

    private static void Softmaxes(KernelSet set, DType type)
    {
        double size = type.Size();
        Tensor scores = set.Normal((1, Heads, Length, Length), type);
        Tensor gradient = set.Normal((1, Heads, Length, Length), type);
        double all = (double)Heads * Length * Length;
        double seen = (double)Heads * Length * (Length + 1) / 2;
        set.Add("forward", size * (seen + all), 6 * seen, () => CausalSoftmax.Forward(scores, 0.1f));
        set.Add("backward", size * (2 * seen + all), 5 * seen, () => CausalSoftmax.Backward(scores, gradient, 0.1f));
        Tensor given = set.Normal((1, Heads, Length, Length), type);
        set.Add(
            "forward-capped",
            size * (seen + all),
            46 * seen,
            () => CausalSoftmax.Forward(scores, 0.1f, softCap: SoftCap)
        );
        set.Add(
            "backward-capped",
            size * (3 * seen + all),
            27 * seen,
            () => CausalSoftmax.Backward(scores, gradient, 0.1f, softCap: SoftCap, scores: given)
        );
    }

    private static void Decode(KernelSet set, DType type)
    {
        const int added = 16;
        double size = type.Size();
        Tensor q = set.Normal((Batch, Heads, Size), type);
        Tensor keys = set.Normal((Batch, Groups, Length, Size), type);
        Tensor values = set.Normal((Batch, Groups, Length, Size), type);
        Tensor output = set.Empty((Batch, Heads, Size), type);
        Tensor lengths = set.Indices(Batch, _ => Length);
        Tensor source = set.Normal((Batch, Groups, added, Size), type);
        Tensor offsets = set.Indices(Batch, i => i);
        double cache = (double)Batch * Groups * Length * Size;
        set.Add(
            "decode",
            size * (2 * cache + 2.0 * Batch * Heads * Size) + sizeof(int) * Batch,
            4.0 * Batch * Heads * Length * Size,
            () => Attention.Decode(q, keys, values, lengths, output)
        );
        set.Add(
            "append",
            2 * size * Batch * Groups * added * Size + sizeof(int) * Batch,
            0,
            () => Attention.Append(source, keys, offsets)
        );
    }

    private static void Fused(KernelSet set, int width, float softCap)
    {
        const int heads = 2;
        double queries = (double)Length * heads * width;
        double keys = (double)Length * width;
        double products = (double)Length * (Length + 1) * heads * width;
        double sums = sizeof(float) * (double)Length * heads;
        Tensor q = set.Normal((1, heads, Length, width), DType.BF16);
        Tensor k = set.Normal((1, 1, Length, width), DType.BF16);
        Tensor v = set.Normal((Length, width), DType.BF16);
        Tensor output = set.Empty((Length, heads * width), DType.BF16);
        Tensor dOutput = set.Normal((Length, heads * width), DType.BF16);
        Tensor lse = set.Empty((1, heads, Length));
        var gradients = new FlashAttentionGradients(
            set.Empty((1, heads, Length, width), DType.BF16),
            set.Empty((1, 1, Length, width), DType.BF16),
            set.Empty((Length, width), DType.BF16)
        );
        FlashAttention.Forward(q, k, v, output, lse, softCap: softCap);
        set.Add(
            "forward",
            sizeof(ushort) * (2 * queries + 2 * keys) + sums,
            2 * products,
            () => FlashAttention.Forward(q, k, v, output, lse, softCap: softCap)
        );
        set.Add(
            "backward",
            sizeof(ushort) * (4 * queries + 4 * keys) + sums,
            5 * products,
            () => FlashAttention.Backward(q, k, v, output, lse, dOutput, gradients, softCap: softCap)
        );
    }
}
