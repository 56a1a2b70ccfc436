using Spectral.Bench.Baselines;
using Spectral.Kernels;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>
/// Truncated SVD of one matrix, 64 triplets, 16 more random vectors, two power iterations, beside cuSOLVER. The matrix
/// is a product of random factors whose directions decay, plus noise, as weights are. Accuracy is reported with the
/// time: the relative Frobenius residual.
/// </summary>
internal sealed class SvdCase : BenchCase
{
    private const int Oversample = 16;
    private const int Iterations = 2;

    public override string Name => "svd";
    public override int Target => 8;
    public override string Description => "Randomized SVD of one BF16 matrix, with cuSOLVER's Xgesvdr and Sgesvdj.";

    public override IEnumerable<Plan> Plans(Machine machine)
    {
        (int side, int rank) = machine.Choose((4096, 64), (4096, 64), (128, 8), (512, 16));
        return
        [
            new Plan($"{side} x {side} k={rank} p={Oversample} q={Iterations}", () => Prepare(machine, side, rank)),
        ];
    }

    private static Scenario Prepare(Machine machine, int side, int rank)
    {
        Device device = machine.Device;
        var scenario = new Scenario { Copies = machine.CopiesFor(sizeof(ushort) * (double)side * side) };
        Tensor[] matrices =
        [
            .. Enumerable
                .Range(0, scenario.Copies)
                .Select(_ => scenario.Own(SvdMatrices.Decaying(machine, side, side))),
        ];
        Tensor exact = scenario.Own(Tensor.Empty(device, (side, side)));
        Tensor spare = scenario.Own(Tensor.Empty(device, (side, side)));
        Cast.Run(matrices[0], exact);
        // One pass for the sketch, two per iteration, one to project: each reads the matrix.
        double passes = 2 + 2 * Iterations;
        double bytes = passes * matrices[0].Bytes;
        double flops = passes * 2.0 * side * side * (rank + Oversample);
        Dictionary<string, double> residuals = [];

        var options = new RandomizedSvdOptions { Oversample = Oversample, PowerIterations = Iterations };
        scenario.Variants.Add(
            new Variant("randomized", copy => RandomizedSvd.Compute(matrices[copy], rank, options).Dispose())
            {
                Bytes = bytes,
                Flops = flops,
                Figures = _ => new Dictionary<string, double> { ["residual"] = residuals["randomized"] },
                Check = () =>
                {
                    using SvdResult result = RandomizedSvd.Compute(matrices[0], rank, options);
                    string? complaint = SvdMatrices.Judge(
                        exact,
                        result.U,
                        leftAsRows: false,
                        result.S.ToArray(),
                        result.Vt,
                        spare,
                        out double residual
                    );
                    residuals["randomized"] = residual;
                    return complaint;
                },
            }
        );

        CuSolverSvd solver;
        try
        {
            solver = scenario.Own(new CuSolverSvd(device));
        }
        catch (Exception missing) when (missing is DllNotFoundException or EntryPointNotFoundException or CudaException)
        {
            scenario.Variants.Add(Variant.Unavailable("cusolver-xgesvdr", missing.Message, Role.Plain));
            scenario.Variants.Add(Variant.Unavailable("cusolver-sgesvdj", missing.Message));
            return scenario;
        }
        Tensor values = scenario.Own(Tensor.Empty(device, side));
        Tensor left = scenario.Own(Tensor.Empty(device, (side, side)));
        Tensor right = scenario.Own(Tensor.Empty(device, (side, side)));
        void Add(string name, Role role, int most, Action decompose) =>
            scenario.Variants.Add(
                new Variant(
                    name,
                    copy =>
                    {
                        // it wants F32 and destroys it: as any user of BF16 weights has to do
                        Cast.Run(matrices[copy], spare);
                        decompose();
                    }
                )
                {
                    Role = role,
                    Bytes = bytes,
                    Flops = flops,
                    MostSamples = most,
                    Figures = _ => new Dictionary<string, double> { ["residual"] = residuals[name] },
                    Check = () =>
                    {
                        spare.CopyFrom(exact);
                        decompose();
                        using Tensor first = left.Rows(0, rank);
                        using Tensor firstRight = right.Rows(0, rank);
                        string? complaint = SvdMatrices.Judge(
                            exact,
                            first,
                            leftAsRows: true,
                            values.ToArray()[..rank],
                            firstRight,
                            spare,
                            out double residual
                        );
                        residuals[name] = residual;
                        return complaint;
                    },
                }
            );
        Add(
            "cusolver-xgesvdr",
            Role.Plain,
            int.MaxValue,
            () => solver.Randomized(spare, values, left, right, rank, Oversample, Iterations)
        );
        Add("cusolver-sgesvdj", Role.Ours, 3, () => solver.Jacobi(spare, values, left, right));
        return scenario;
    }
}

/// <summary>
/// The first triplets of every linear layer of an 8B Llama: what an adapter made from singular vectors begins with.
/// </summary>
internal sealed class ModelSvdCase : BenchCase
{
    public override string Name => "svd-model";
    public override int Target => 8;
    public override string Description =>
        "Randomized SVD of all 224 linear layers of an 8B Llama, in batches and one after the other.";

    public override IEnumerable<Plan> Plans(Machine machine)
    {
        (int layers, int unit, int rank) = machine.Choose((32, 1024, 64), (4, 1024, 64), (1, 32, 4));
        return [new Plan($"{7 * layers} layers k={rank} q=2", () => Prepare(machine, layers, unit, rank))];
    }

    private static Scenario Prepare(Machine machine, int layers, int unit, int rank)
    {
        var scenario = new Scenario();
        (int Out, int In)[] shapes = [(4, 4), (1, 4), (1, 4), (4, 4), (14, 4), (14, 4), (4, 14)];
        List<Tensor> weights =
        [
            .. from _ in Enumerable.Range(0, layers)
            from shape in shapes
            select scenario.Own(SvdMatrices.Decaying(machine, shape.Out * unit, shape.In * unit)),
        ];
        var options = new RandomizedSvdOptions { PowerIterations = 2 };
        double bytes = 6.0 * weights.Sum(weight => weight.Bytes);
        double flops = 12.0 * weights.Sum(weight => (double)weight.Count) * (rank + options.Oversample);
        void Add(string name, Role role, Func<IReadOnlyList<Tensor>, SvdResult[]> decompose) =>
            scenario.Variants.Add(
                new Variant(name, _ => Array.ForEach(decompose(weights), result => result.Dispose()))
                {
                    Role = role,
                    Bytes = bytes,
                    Flops = flops,
                    MostSamples = 5,
                    Check = () => Judge(machine, [.. weights.Take(2 * shapes.Length)], decompose),
                }
            );
        Add(
            "one-by-one",
            Role.Plain,
            matrices => [.. matrices.Select(matrix => RandomizedSvd.Compute(matrix, rank, options))]
        );
        Add("batched", Role.Ours, matrices => RandomizedSvd.Compute([.. matrices], rank, options));
        return scenario;
    }

    private static string? Judge(
        Machine machine,
        List<Tensor> weights,
        Func<IReadOnlyList<Tensor>, SvdResult[]> decompose
    )
    {
        SvdResult[] results = decompose(weights);
        try
        {
            for (int i = 0; i < results.Length; i++)
            {
                using var exact = Tensor.Empty(machine.Device, weights[i].Shape);
                using var spare = Tensor.Empty(machine.Device, weights[i].Shape);
                Cast.Run(weights[i], exact);
                string? complaint = SvdMatrices.Judge(
                    exact,
                    results[i].U,
                    leftAsRows: false,
                    results[i].S.ToArray(),
                    results[i].Vt,
                    spare,
                    out _
                );
                if (complaint is not null)
                    return $"matrix {i}, {weights[i].Shape}: {complaint}";
            }
            return null;
        }
        finally
        {
            Array.ForEach(results, result => result.Dispose());
        }
    }
}
