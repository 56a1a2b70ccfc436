using System.Collections.Concurrent;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Bench.Cases;

/// <summary>
/// Causal attention with grouped key/value heads, forward and backward: library products around a softmax that is
/// stored, and the fused kernel. Operations are those below the diagonal.
/// </summary>
internal sealed class AttentionCase : BenchCase
{
    public override string Name => "attention";
    public override int Target => 12;
    public override string Description =>
        "Causal attention of 8B size, fused beside composed of library calls; a part of the training step.";

    public override IEnumerable<Plan> Plans(Machine machine)
    {
        (int heads, int groups, int size) = machine.Choose((32, 8, 128), (32, 8, 128), (4, 2, 16), (2, 1, 128));
        foreach (int length in machine.Choose<int[]>([4096, 1024, 8192], [4096], [40], [512]))
        {
            foreach (bool backward in new[] { false, true })
            {
                yield return new Plan(
                    $"{(backward ? "backward" : "forward")} S={length} H={heads} KV={groups} hd={size}",
                    () => Prepare(machine, new Sizes(length, heads, groups, size), backward)
                );
            }
        }
    }

    private static Scenario Prepare(Machine machine, Sizes sizes, bool backward)
    {
        Device device = machine.Device;
        (int length, int heads, int groups, int size) = sizes;
        double queries = (double)length * heads * size;
        double keys = (double)length * groups * size;
        double bytes =
            sizeof(ushort) * (backward ? 4 * queries + 4 * keys : 2 * queries + 2 * keys)
            + sizeof(float) * (double)length * heads;
        double flops = (backward ? 5 : 2) * (double)length * (length + 1) * heads * size;
        var scenario = new Scenario { Copies = machine.CopiesFor(bytes) };
        Tensor Normal(int count) => scenario.Own(machine.Normal((1, count, length, size), DType.BF16));
        Tensor Empty(Shape shape, DType type = DType.BF16) => scenario.Own(Tensor.Empty(device, shape, type));
        Buffers[] copies =
        [
            .. Enumerable
                .Range(0, scenario.Copies)
                .Select(_ => new Buffers(
                    Normal(heads),
                    Normal(groups),
                    Normal(groups),
                    Empty((1, heads, length, size)),
                    Normal(heads),
                    Empty((1, heads, length, size)),
                    Empty((1, groups, length, size)),
                    Empty((1, groups, length, size))
                )),
        ];
        var reference = new AttentionReference(sizes, copies[0]);
        Variant Make(AttentionVariant kind, Action<int> forward, Action<int> adjoint) =>
            new(Attention.NameOf(kind), backward ? adjoint : forward)
            {
                Role = kind == AttentionVariant.Composed ? Role.Plain : Role.Ours,
                Bytes = bytes,
                Flops = flops,
                Check = () =>
                {
                    Buffers first = copies[0];
                    bool inRows = kind == AttentionVariant.Fused;
                    Machine.Poison(first.Output, first.Dq, first.Dk, first.Dv);
                    for (int i = backward ? copies.Length - 1 : 0; i >= 0; i--)
                        forward(i); // copy 0 last: it leaves its probabilities to the adjoint
                    if (!backward)
                        return reference.CheckOutput(inRows);
                    adjoint(0);
                    return reference.CheckGradients(inRows);
                },
            };

        // The probabilities alone are S² per head: one buffer serves all copies.
        Lazy<Tensor> probabilities = new(() => Empty((1, heads, length, length)));
        scenario.Variants.Add(
            Make(
                AttentionVariant.Composed,
                copy =>
                    Attention.Forward(
                        copies[copy].Q,
                        copies[copy].K,
                        copies[copy].V,
                        probabilities.Value,
                        copies[copy].Output
                    ),
                copy =>
                    Attention.Backward(
                        copies[copy].Q,
                        copies[copy].K,
                        copies[copy].V,
                        probabilities.Value,
                        copies[copy].DOutput,
                        copies[copy].Dq,
                        copies[copy].Dk,
                        copies[copy].Dv
                    )
            )
        );

        // The fused kernel reads v and writes its results as the linear layers have them, [S, heads·hd]: the same
        // random bytes in that order.
        Tensor[] lse = [.. copies.Select(_ => Empty((1, heads, length), DType.F32))];
        Buffers[] rows =
        [
            .. copies.Select(c =>
                c with
                {
                    V = scenario.Own(c.V.View((length, groups * size))),
                    Output = scenario.Own(c.Output.View((length, heads * size))),
                    DOutput = scenario.Own(c.DOutput.View((length, heads * size))),
                    Dv = scenario.Own(c.Dv.View((length, groups * size))),
                }
            ),
        ];
        scenario.Variants.Add(
            Make(
                AttentionVariant.Fused,
                copy => FlashAttention.Forward(rows[copy].Q, rows[copy].K, rows[copy].V, rows[copy].Output, lse[copy]),
                copy =>
                    FlashAttention.Backward(
                        rows[copy].Q,
                        rows[copy].K,
                        rows[copy].V,
                        rows[copy].Output,
                        lse[copy],
                        rows[copy].DOutput,
                        new FlashAttentionGradients(rows[copy].Dq, rows[copy].Dk, rows[copy].Dv)
                    )
            )
        );
        return scenario;
    }

    internal sealed record Sizes(int Length, int Heads, int Groups, int Size);

    /// <summary>q, output and their gradients [1, H, S, hd]; k and v with KV heads.</summary>
    internal sealed record Buffers(
        Tensor Q,
        Tensor K,
        Tensor V,
        Tensor Output,
        Tensor DOutput,
        Tensor Dq,
        Tensor Dk,
        Tensor Dv
    );
}

/// <summary>
/// Attention in double for single elements. Each matrix is read with one row per head and position, in either order of
/// the two.
/// </summary>
internal sealed class AttentionReference(AttentionCase.Sizes sizes, AttentionCase.Buffers buffers)
{
    private const int LastKeys = 8;

    private readonly Lazy<HostMatrix> _q = new(() => new HostMatrix(buffers.Q));
    private readonly Lazy<HostMatrix> _k = new(() => new HostMatrix(buffers.K));
    private readonly Lazy<HostMatrix> _v = new(() => new HostMatrix(buffers.V));
    private readonly Lazy<HostMatrix> _dOutput = new(() => new HostMatrix(buffers.DOutput));
    private readonly ConcurrentDictionary<(int Head, int Query), double[]> _probabilities = [];
    private readonly ConcurrentDictionary<(int Head, int Query, bool InRows), double[]> _scoreGradients = [];
    private readonly double _scale = 1 / Math.Sqrt(sizes.Size);

    public string? CheckOutput(bool inRows) =>
        Check.Compare(
            buffers.Output,
            "output",
            (row, column) =>
            {
                (int head, int i) = Place(row, sizes.Heads, inRows);
                double[] p = Probabilities(head, i);
                double sum = 0;
                for (int j = 0; j <= i; j++)
                    sum += p[j] * _v.Value[Row(head / (sizes.Heads / sizes.Groups), j, sizes.Groups, inRows), column];
                return sum;
            }
        );

    /// <summary>dq anywhere; dk and dv of the last keys, which few queries see.</summary>
    public string? CheckGradients(bool inRows)
    {
        int group = sizes.Heads / sizes.Groups;
        int[] Last(bool rows) =>
            [
                .. from kv in new[] { 0, sizes.Groups - 1 }
                from back in Enumerable.Range(1, LastKeys)
                select Row(kv, sizes.Length - back, sizes.Groups, rows),
            ];
        return Check.All(
            Check.Compare(
                buffers.Dq,
                "dq",
                (row, column) =>
                {
                    (int head, int i) = Place(row, sizes.Heads, rows: false);
                    double[] ds = ScoreGradients(head, i, inRows);
                    double sum = 0;
                    for (int j = 0; j <= i; j++)
                        sum += ds[j] * _k.Value[Row(head / group, j, sizes.Groups, rows: false), column];
                    return _scale * sum;
                }
            ),
            Check.Compare(
                buffers.Dk,
                "dk",
                (row, column) =>
                {
                    (int kv, int j) = Place(row, sizes.Groups, rows: false);
                    double sum = 0;
                    for (int head = kv * group; head < (kv + 1) * group; head++)
                    {
                        for (int i = j; i < sizes.Length; i++)
                        {
                            sum +=
                                ScoreGradients(head, i, inRows)[j]
                                * _q.Value[Row(head, i, sizes.Heads, rows: false), column];
                        }
                    }

                    return _scale * sum;
                },
                rows: Last(rows: false)
            ),
            Check.Compare(
                buffers.Dv,
                "dv",
                (row, column) =>
                {
                    (int kv, int j) = Place(row, sizes.Groups, inRows);
                    double sum = 0;
                    for (int head = kv * group; head < (kv + 1) * group; head++)
                    {
                        for (int i = j; i < sizes.Length; i++)
                        {
                            sum +=
                                Probabilities(head, i)[j] * _dOutput.Value[Row(head, i, sizes.Heads, inRows), column];
                        }
                    }

                    return sum;
                },
                rows: Last(inRows)
            )
        );
    }

    private double[] Probabilities(int head, int i) =>
        _probabilities.GetOrAdd(
            (head, i),
            _ =>
            {
                double[] p = new double[i + 1];
                int query = Row(head, i, sizes.Heads, rows: false);
                int kv = head / (sizes.Heads / sizes.Groups);
                for (int j = 0; j <= i; j++)
                    p[j] = _scale * _q.Value.DotRows(query, _k.Value, Row(kv, j, sizes.Groups, rows: false));
                double largest = p.Max();
                double sum = 0;
                for (int j = 0; j <= i; j++)
                    sum += p[j] = Math.Exp(p[j] - largest);
                for (int j = 0; j <= i; j++)
                    p[j] /= sum;
                return p;
            }
        );

    /// <summary>Gradients of the scores of a query: p (dp − Σ p dp) with dp = dO · v.</summary>
    private double[] ScoreGradients(int head, int i, bool inRows) =>
        _scoreGradients.GetOrAdd(
            (head, i, inRows),
            _ =>
            {
                double[] p = Probabilities(head, i);
                double[] dp = new double[i + 1];
                double mean = 0;
                int row = Row(head, i, sizes.Heads, inRows);
                int kv = head / (sizes.Heads / sizes.Groups);
                for (int j = 0; j <= i; j++)
                    mean += p[j] * (dp[j] = _dOutput.Value.DotRows(row, _v.Value, Row(kv, j, sizes.Groups, inRows)));
                for (int j = 0; j <= i; j++)
                    dp[j] = p[j] * (dp[j] - mean);
                return dp;
            }
        );

    private int Row(int head, int position, int heads, bool rows) =>
        rows ? position * heads + head : head * sizes.Length + position;

    private (int Head, int Position) Place(int row, int heads, bool rows) =>
        rows ? (row % heads, row / heads) : (row / sizes.Length, row % sizes.Length);
}
