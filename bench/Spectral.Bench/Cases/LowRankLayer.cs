using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>Sizes of an adapted linear layer: M tokens, K in, N out, r rank.</summary>
internal sealed record LayerShape(int Tokens, int Inputs, int Outputs, int Rank)
{
    public override string ToString() => $"{Inputs}->{Outputs} M={Tokens} r={Rank}";

    /// <summary>
    /// The three shapes of an 8B Llama for each number of tokens and rank. For counting, a few tiles of full depth,
    /// unless other shapes are given.
    /// </summary>
    public static IEnumerable<LayerShape> Llama(Machine machine, int[] tokens, int[] ranks, params LayerShape[] counted)
    {
        if (machine.Extent == Extent.Counted && counted.Length > 0)
            return counted;
        (int, int)[] layers = machine.Choose<(int, int)[]>(
            [(4096, 4096), (4096, 14336), (14336, 4096)],
            [(4096, 4096), (4096, 14336)],
            [(64, 96)],
            [(4096, 256), (256, 4096)]
        );
        return from layer in layers
            from count in machine.Choose(tokens, tokens[..1], [40], [Math.Min(256, tokens.Min())])
            from rank in machine.Choose(ranks, ranks[..1], [8], ranks[..1])
            select new LayerShape(count, layer.Item1, layer.Item2, rank);
    }
}

/// <summary>
/// The buffers of one layer, BF16 with F32 gradients, several copies of each, and the double references on copy 0.
/// </summary>
internal sealed class LowRankLayer
{
    public const float ScaleOfUpdate = 2;

    private readonly Copy[] _copies;
    private readonly Lazy<HostMatrix> _x;
    private readonly Lazy<HostMatrix> _weight;
    private readonly Lazy<HostMatrix> _left;
    private readonly Lazy<HostMatrix> _right;
    private readonly Lazy<HostMatrix> _dy;
    private readonly Dictionary<int, double[]> _outputSums = [];

    public LowRankLayer(Machine machine, LayerShape shape, bool backward)
    {
        (Machine, Shape) = (machine, shape);
        (int m, int k, int n, int r) = (shape.Tokens, shape.Inputs, shape.Outputs, shape.Rank);
        Scenario = new Scenario { Copies = machine.CopiesFor(sizeof(ushort) * ((double)n * k + (double)m * (n + k))) };
        T Own<T>(T owned)
            where T : IDisposable => Scenario.Own(owned);
        Tensor Normal(int rows, int columns, float deviation) =>
            Own(machine.Normal((rows, columns), DType.BF16, deviation));
        Tensor Empty(Shape size, DType type) => Own(Tensor.Empty(machine.Device, size, type));
        _copies = new Copy[Scenario.Copies];
        for (int i = 0; i < _copies.Length; i++)
        {
            var factors = new LowRankFactors(Normal(n, r, 0.25f), null, Normal(r, k, 1 / MathF.Sqrt(k)), ScaleOfUpdate);
            _copies[i] = new Copy(
                Normal(m, k, 1),
                Normal(n, k, 1 / MathF.Sqrt(k)),
                factors,
                backward ? null : Empty((m, n), DType.BF16),
                Empty((m, r), DType.BF16),
                backward ? Normal(m, n, 1) : null,
                backward ? Empty((m, k), DType.BF16) : null,
                backward
                    ? new LowRankGradients(Empty((n, r), DType.F32), 0, Empty(r, DType.F32), Empty((r, k), DType.F32))
                    : default
            );
            LowRank.Project(_copies[i].X, factors.Right, _copies[i].Z);
        }
        Copy first = _copies[0];
        (_x, _weight) = (new(() => new HostMatrix(first.X)), new(() => new HostMatrix(first.Weight)));
        (_left, _right, _dy) = (
            new(() => new HostMatrix(first.Factors.Left)),
            new(() => new HostMatrix(first.Factors.Right)),
            new(() => new HostMatrix(first.Dy!))
        );
    }

    public Machine Machine { get; }
    public LayerShape Shape { get; }
    public Scenario Scenario { get; }
    public Copy this[int copy] => _copies[copy];

    /// <summary>Operations of the frozen product.</summary>
    public double PlainFlops => 2.0 * Shape.Tokens * Shape.Inputs * Shape.Outputs;

    /// <summary>Bytes of x, W and y, or dy, W and dx.</summary>
    public double PlainBytes =>
        sizeof(ushort) * ((double)Shape.Outputs * Shape.Inputs + (double)Shape.Tokens * (Shape.Inputs + Shape.Outputs));

    /// <summary>z = x Rᵀ and z Lᵀ.</summary>
    public double UpdateFlops => 2.0 * Shape.Tokens * Shape.Rank * (Shape.Inputs + Shape.Outputs);

    /// <summary>L, R and z.</summary>
    public double UpdateBytes => sizeof(ushort) * (double)Shape.Rank * (Shape.Inputs + Shape.Outputs + Shape.Tokens);

    /// <summary>y of copy 0 against x Wᵀ + s (x Rᵀ) Lᵀ; without the update against x Wᵀ.</summary>
    public string? CheckOutput(bool update) =>
        Check.Compare(
            _copies[0].Y!,
            "y",
            (row, column) =>
            {
                double sum = _x.Value.DotRows(row, _weight.Value, column);
                for (int i = 0; update && i < Shape.Rank; i++)
                    sum += ScaleOfUpdate * _x.Value.DotRows(row, _right.Value, i) * _left.Value[column, i];
                return sum;
            }
        );

    /// <summary>dx of copy 0 against dy W + s (dy L) R; without the update against dy W.</summary>
    public string? CheckInputGradient(bool update) =>
        Check.Compare(
            _copies[0].Dx!,
            "dx",
            (row, column) =>
            {
                double sum = _dy.Value.DotColumn(row, _weight.Value, column);
                for (int i = 0; update && i < Shape.Rank; i++)
                    sum += ScaleOfUpdate * _dy.Value.DotColumn(row, _left.Value, i) * _right.Value[i, column];
                return sum;
            }
        );

    /// <summary>z of copy 0 against x Rᵀ.</summary>
    public string? CheckProjection() =>
        Check.Compare(_copies[0].Z, "z", (row, column) => _x.Value.DotRows(row, _right.Value, column));

    /// <summary>dL of copy 0 against s dyᵀ z.</summary>
    public string? CheckLeft()
    {
        var z = new HostMatrix(_copies[0].Z);
        return Check.Compare(
            _copies[0].Gradients.Left!,
            "dL",
            (row, column) =>
            {
                double sum = 0;
                for (int t = 0; t < Shape.Tokens; t++)
                    sum += _dy.Value[t, row] * z[t, column];
                return ScaleOfUpdate * sum;
            }
        );
    }

    /// <summary>dR of copy 0, its first and last row, against s (dy L)ᵀ x.</summary>
    public string? CheckRight()
    {
        int[] rows = [0, Shape.Rank - 1];
        foreach (int row in rows)
            OutputSum(row);
        return Check.Compare(
            _copies[0].Gradients.Right!,
            "dR",
            (row, column) =>
            {
                double[] g = OutputSum(row);
                double sum = 0;
                for (int t = 0; t < g.Length; t++)
                    sum += g[t] * _x.Value[t, column];
                return ScaleOfUpdate * sum;
            },
            rows: rows
        );
    }

    /// <summary>dc of copy 0, its first and last entry, against s Σₜ g z.</summary>
    public string? CheckMiddle()
    {
        int[] entries = [0, Shape.Rank - 1];
        var z = new HostMatrix(_copies[0].Z);
        using Tensor column = _copies[0].Gradients.Middle!.View((Shape.Rank, 1));
        foreach (int entry in entries)
            OutputSum(entry);
        return Check.Compare(
            column,
            "dc",
            (row, _) =>
            {
                double[] g = OutputSum(row);
                double sum = 0;
                for (int t = 0; t < g.Length; t++)
                    sum += g[t] * z[t, row];
                return ScaleOfUpdate * sum;
            },
            rows: entries
        );
    }

    /// <summary>Column i of g = dy L in double.</summary>
    private double[] OutputSum(int i)
    {
        if (_outputSums.TryGetValue(i, out double[]? known))
            return known;
        double[] sums = new double[Shape.Tokens];
        HostMatrix dy = _dy.Value;
        HostMatrix left = _left.Value;
        Parallel.For(0, Shape.Tokens, t => sums[t] = dy.DotColumn(t, left, i));
        return _outputSums[i] = sums;
    }

    /// <summary>
    /// One set of buffers; y belongs to forward scenarios, dy, dx and the gradients to backward ones.
    /// </summary>
    internal sealed record Copy(
        Tensor X,
        Tensor Weight,
        LowRankFactors Factors,
        Tensor? Y,
        Tensor Z,
        Tensor? Dy,
        Tensor? Dx,
        LowRankGradients Gradients
    );
}
