using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Merging;
using Spectral.Training.Merging.Methods;
using Spectral.Training.Numerics;
using Spectral.Training.Tests.Support;
using static Spectral.Training.Tests.Merging.Methods.ElementwiseMergeTests;

namespace Spectral.Training.Tests.Merging.Methods;

/// <summary>Methods that decompose weights, against their formulas in double with a Jacobi SVD.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MatrixMergeTests(DeviceKind kind) : MergeTest(kind)
{
    private const string Down = "model.layers.0.mlp.down_proj.weight"; // [13, 17]
    private const string Up = "model.layers.2.mlp.up_proj.weight"; // [17, 13]
    private const string Norm = "model.norm.weight";

    [TestCase(Up, 17, 13)]
    [TestCase(Query, 18, 13)]
    public void OrthomergeMergesRotationsAndResiduals(string tensor, int rows, int columns)
    {
        MergeInput[] inputs = [Tuned(1, 0.3), Tuned(2, 0.2)];
        Dense origin = Matrix(Base, tensor, rows, columns);
        Dense[] tuned = [.. inputs.Select(input => Matrix(input.Directory, tensor, rows, columns))];
        var identity = Dense.Identity(columns);
        Dense[] rotations =
        [
            .. tuned.Select(weight =>
            {
                (Dense u, double[] _, Dense v) = JacobiSvd.Of(origin.Transposed * weight);
                return u * v.Transposed;
            }),
        ];
        Dense[] skews = [.. rotations.Select(q => (q + identity).Inverse() * (q - identity))];
        Dense sum = skews[0] + skews[1];
        Dense skew = ((Size(skews[0]) + Size(skews[1])) / 2 / Size(sum)) * sum;
        Dense rotation = (identity - skew).Inverse() * (identity + skew);
        Dense expected =
            (origin * rotation) + (0.5 * ((tuned[0] - (origin * rotations[0])) + (tuned[1] - (origin * rotations[1]))));
        Dictionary<string, double[]> result = Merge("orthomerge", null, inputs);
        Compare(result[tensor], expected.Values, 3e-6, tensor);
        double[][] norms = Changes(Norm, inputs);
        double[] theta = Values(Base)[Norm];
        Compare(result[Norm], Entries(theta, i => theta[i] + norms.Average(norm => norm[i])), 1e-6, Norm);
    }

    [TestCase(7)]
    [TestCase(40)]
    public void RotationsAreOrthogonal(int size)
    {
        Random random = new(size);
        HostMatrix a = new(size, size, [.. Enumerable.Range(0, size * size).Select(_ => random.NextDouble() - 0.5)]);
        for (int i = 0; i < size; i++)
            a.Values[(i * size) + i] += 3;
        HostMatrix nearest = Rotations.Nearest(Device, a);
        HostMatrix lacking = new(size, size, [.. a.Values]);
        Array.Clear(lacking.Values, 0, 3 * size);
        HostMatrix skew = Rotations.ToSkew(nearest)!;
        RequireOrthogonal(nearest);
        RequireOrthogonal(Rotations.Nearest(Device, lacking));
        RequireOrthogonal(Rotations.FromSkew(skew));
        Compare(Rotations.FromSkew(skew).Values, nearest.Values, 1e-12, "there and back");
    }

    [Test]
    public void NearestToAMatrixThatLacksRankIsNearestToTheIdentity()
    {
        HostMatrix a = new(3, 3, [2, 0, 0, 0, 0, 0, 0, 0, 0]);
        Compare(Rotations.Nearest(Device, a).Values, Dense.Identity(3).Values, 1e-12, "identity");
        Compare(Rotations.Nearest(Device, new HostMatrix(3, 3)).Values, Dense.Identity(3).Values, 1e-12, "of zero");
    }

    [Test]
    public void ADirectionTurnedRoundHasNoSkew() =>
        Assert.That(Rotations.ToSkew(new HostMatrix(2, 2, [1, 0, 0, -1])), Is.Null);

    [Test]
    public void OpcmAddsWhatLiesAcross()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2), Tuned(3)];
        Dictionary<string, double[]> sums = [];
        double squares = 0;
        double[] norms = new double[3];
        foreach (string name in Values(Base).Keys)
        {
            double[][] changes = Changes(name, inputs);
            for (int j = 0; j < 3; j++)
                norms[j] += Dot(changes[j], changes[j]);
            double[] sum = changes[0];
            for (int j = 1; j < 3; j++)
            {
                double[] added = name.EndsWith("_proj.weight", StringComparison.Ordinal)
                    ? Across(name, sum, changes[j])
                    : changes[j];
                sum = Entries(sum, i => sum[i] + added[i]);
            }
            sums[name] = sum;
            squares += Dot(sum, sum);
        }

        double scale = norms.Average(Math.Sqrt) / Math.Sqrt(squares);
        Verify(
            Merge("opcm", With(("alpha", 0.4)), inputs),
            inputs,
            (name, theta, _) => Entries(theta, i => theta[i] + (scale * sums[name][i])),
            3e-6
        );
    }

    [Test]
    public void DcMergeVotesInACommonBasis()
    {
        MergeInput[] inputs = [Tuned(1), Tuned(2)];
        (int rows, int columns, int k) = (13, 17, 6);
        Dense[] changes = [.. Changes(Down, inputs).Select(change => Dense.Of(rows, columns, change))];
        (Dense U, double[] Values, Dense V)[] found = [.. changes.Select(JacobiSvd.Of)];
        var left = Dense.Of(rows, 2 * k, (i, j) => found[j / k].U[i, j % k]);
        var right = Dense.Of(columns, 2 * k, (i, j) => found[j / k].V[i, j % k]);
        Dense leftCover = Polar(left);
        Dense rightCover = Polar(right);
        Dense[] cores =
        [
            .. found.Select(one =>
            {
                var cut = Dense.Of(
                    rows,
                    columns,
                    (i, j) => Enumerable.Range(0, k).Sum(t => one.Values[t] * one.U[i, t] * one.V[j, t])
                );
                Dense core = leftCover.Transposed * cut * rightCover;
                double least = core.Values.Select(Math.Abs).OrderDescending().ElementAt((int)(0.3 * 4 * k * k) - 1);
                return Dense.Of(2 * k, 2 * k, (i, j) => Math.Abs(core[i, j]) >= least ? core[i, j] : 0);
            }),
        ];
        var merged = Dense.Of(
            2 * k,
            2 * k,
            (i, j) =>
            {
                int sign = Math.Sign(cores[0][i, j] + cores[1][i, j]);
                double[] agree = [.. cores.Select(core => core[i, j]).Where(x => sign != 0 && Math.Sign(x) == sign)];
                return i / k == j / k && agree.Length > 0 ? agree.Average() : 0;
            }
        );
        Dense expected = leftCover * merged * rightCover.Transposed;
        double[] theta = Values(Base)[Down];
        Compare(
            Merge("dc-merge", With(("kept", 0.3)), inputs)[Down],
            Entries(theta, i => theta[i] + expected.Values[i]),
            1e-6,
            Down
        );
    }

    [Test]
    public void DoMergingLeavesOrthogonalDirectionsAlone()
    {
        (int rows, int columns) = (18, 13);
        MergeInput[] inputs = [new(Write("upper", 0, 0)), new(Write("lower", 0, 0))];
        Edit(inputs[0].Directory, Query, (i, value) => i / columns < 9 ? value + 0.01f * (i % 7 + 1) : value);
        Edit(inputs[1].Directory, Query, (i, value) => i / columns >= 9 ? value + 0.02f * (i % 5 + 1) : value);
        double[][] changes = Changes(Query, inputs);
        double[] theta = Values(Base)[Query];
        double Length(double[] change, int column) =>
            Math.Sqrt(Enumerable.Range(0, rows).Sum(row => Math.Pow(change[(row * columns) + column], 2)));
        Compare(
            Merge("do-merging", null, inputs)[Query],
            Entries(
                theta,
                i =>
                {
                    double[] lengths = [.. changes.Select(change => Length(change, i % columns))];
                    return theta[i] + (lengths.Average() * changes.Select((c, j) => c[i] / lengths[j]).Sum());
                }
            ),
            2e-6,
            Query
        );
    }

    [Test]
    public void DoMergingLowersItsObjectiveToWhereTheGradientVanishes()
    {
        Random random = new(3);
        (int rows, int columns, double gamma) = (9, 4, 0.5);
        Dense[] starts =
        [
            .. Enumerable
                .Range(0, 3)
                .Select(_ => Dense.Of(rows, columns, (_, _) => (float)(random.NextDouble() - 0.5))),
        ];
        Tensor[] directions =
        [
            .. starts.Select(start =>
                Keep(Tensor.From(Device, Array.ConvertAll(start.Values, value => (float)value), (rows, columns)))
            ),
        ];
        double before = Objective(starts, starts, gamma);
        DoMerge.Orthogonalize(directions, gamma, 3000);
        Dense[] ends =
        [
            .. directions.Select(found =>
                Dense.Of(rows, columns, Array.ConvertAll(found.ToArray(), value => (double)value))
            ),
        ];
        double after = Objective(ends, starts, gamma);
        Assert.That(after, Is.LessThan(before));
        for (int i = 0; i < rows * columns; i++)
        {
            Dense[] moved = [.. ends.Select(end => 1 * end)];
            moved[1].Values[i] += 1e-4;
            double up = Objective(moved, starts, gamma);
            moved[1].Values[i] -= 2e-4;
            double slope = (up - Objective(moved, starts, gamma)) / 2e-4;
            Assert.That(slope, Is.EqualTo(0).Within(1e-4), $"entry {i}: central differences");
        }
    }

    [Test]
    public void OtfusionOfAPermutedCopyIsTheModel()
    {
        int[] neurons = [.. Enumerable.Range(0, 17).Select(i => (i * 5 + 3) % 17)];
        int[] heads = [2, 0, 1];
        string copy = Write("permuted", 0, 0);
        for (int layer = 0; layer < 3; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            Permute(copy, prefix + "mlp.gate_proj.weight", 13, row: neurons);
            Permute(copy, prefix + "mlp.up_proj.weight", 13, row: neurons);
            Permute(copy, prefix + "mlp.down_proj.weight", 17, column: neurons);
            int[] entries = [.. heads.SelectMany(head => Enumerable.Range(head * 6, 6))];
            Permute(copy, prefix + "self_attn.q_proj.weight", 13, row: entries);
            Permute(copy, prefix + "self_attn.o_proj.weight", 18, column: entries);
        }
        Assert.That(Values(copy)[Query], Is.Not.EqualTo(Values(Base)[Query]));
        Dictionary<string, double[]> result = Merge("otfusion", null, new MergeInput(Base), new MergeInput(copy));
        foreach ((string name, double[] values) in Values(Base))
            Compare(result[name], values, 1e-7, name);
    }

    /// <summary>Rows of a fused projection belong to heads and neurons by parts.</summary>
    [Test]
    public void OtfusionOfAPermutedCopyOfAModelWithFusedProjectionsIsTheModel()
    {
        JsonObject json = Config();
        json["model_type"] = "phi3";
        Write("base", 0, 0, json);
        string copy = Write("permuted", 0, 0, json);
        int[] neurons = [.. Enumerable.Range(0, 17).Select(i => (i * 5 + 3) % 17)];
        int[] heads = [2, 0, 1];
        int[] entries = [.. heads.SelectMany(head => Enumerable.Range(head * 6, 6))];
        for (int layer = 0; layer < 3; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            int[] gates = [.. neurons, .. neurons.Select(neuron => 17 + neuron)];
            Permute(copy, prefix + "mlp.gate_up_proj.weight", 13, row: gates);
            Permute(copy, prefix + "mlp.down_proj.weight", 17, column: neurons);
            Permute(copy, prefix + "self_attn.qkv_proj.weight", 13, row: [.. entries, .. Enumerable.Range(18, 12)]);
            Permute(copy, prefix + "self_attn.o_proj.weight", 18, column: entries);
        }
        Dictionary<string, double[]> result = Merge("otfusion", null, new MergeInput(Base), new MergeInput(copy));
        foreach ((string name, double[] values) in Values(Base))
            Compare(result[name], values, 1e-7, name);
    }

    /// <summary>Norms of all queries and of all keys have weights for each head, which go with it.</summary>
    [Test]
    public void OtfusionMovesWeightsOfNormsWithTheirHeads()
    {
        JsonObject json = Config();
        json["model_type"] = "olmo2";
        Write("base", 0, 0, json);
        string copy = Write("permuted", 0, 0, json);
        int[] entries = [.. new[] { 1, 2, 0 }.SelectMany(head => Enumerable.Range(head * 6, 6))];
        for (int layer = 0; layer < 3; layer++)
        {
            string prefix = $"model.layers.{layer}.self_attn.";
            Permute(copy, prefix + "q_proj.weight", 13, row: entries);
            Permute(copy, prefix + "q_norm.weight", 1, row: entries);
            Permute(copy, prefix + "o_proj.weight", 18, column: entries);
        }
        Dictionary<string, double[]> result = Merge("otfusion", null, new MergeInput(Base), new MergeInput(copy));
        foreach ((string name, double[] values) in Values(Base))
            Compare(result[name], values, 1e-7, name);
    }

    [TestCase(1)]
    [TestCase(2)]
    [TestCase(5)]
    [TestCase(7)]
    public void TheBestAssignmentIsTheBestOfAll(int size)
    {
        Random random = new(size);
        float[] scores = [.. Enumerable.Range(0, size * size).Select(_ => random.NextSingle())];
        int[] found = Assignment.Best(scores, size);
        Assert.That(found.Order(), Is.EqualTo(Enumerable.Range(0, size)));
        double best = Permutations(size)
            .Max(order => order.Select((column, row) => (double)scores[(row * size) + column]).Sum());
        Assert.That(
            found.Select((column, row) => (double)scores[(row * size) + column]).Sum(),
            Is.EqualTo(best).Within(1e-9)
        );
    }

    private static IEnumerable<int[]> Permutations(int size) =>
        size == 0
            ?
            [
                [],
            ]
            : Permutations(size - 1)
                .SelectMany(rest =>
                    Enumerable.Range(0, size).Select(at => (int[])[.. rest[..at], size - 1, .. rest[at..]])
                );

    private static void Permute(string directory, string tensor, int columns, int[]? row = null, int[]? column = null)
    {
        float[] before = Array.ConvertAll(Values(directory)[tensor], value => (float)value);
        Edit(
            directory,
            tensor,
            (i, _) =>
            {
                (int r, int c) = (i / columns, i % columns);
                return before[((row?[r] ?? r) * columns) + (column?[c] ?? c)];
            }
        );
    }

    private static double Objective(Dense[] directions, Dense[] starts, double gamma)
    {
        double sum = 0;
        for (int i = 0; i < directions.Length; i++)
        {
            sum += gamma * Math.Pow(Size(directions[i] - starts[i]), 2);
            for (int j = 0; j < i; j++)
                sum += Math.Pow(Size(directions[i].Transposed * directions[j]), 2);
        }
        return sum;
    }

    private static double[] Across(string name, double[] sum, double[] change)
    {
        (int rows, int columns) = name switch
        {
            _ when name.Contains("q_proj") => (18, 13),
            _ when name.Contains("o_proj") => (13, 18),
            _ when name.Contains("down_proj") => (13, 17),
            _ when name.Contains("_proj") && name.Contains("mlp") => (17, 13),
            _ => (6, 13),
        };
        (Dense u, double[] values, Dense v) = JacobiSvd.Of(Dense.Of(rows, columns, sum));
        Dense core = u.Transposed * Dense.Of(rows, columns, change) * v;
        int k = Enumerable.Range(0, values.Length).First(i => values[..(i + 1)].Sum() > 0.4 * values.Sum());
        var along = Dense.Of(values.Length, values.Length, (i, j) => i == j || (i < k && j < k) ? core[i, j] : 0);
        return (Dense.Of(rows, columns, change) - (u * along * v.Transposed)).Values;
    }

    private static Dense Polar(Dense a)
    {
        (Dense u, double[] _, Dense v) = JacobiSvd.Of(a);
        return u * v.Transposed;
    }

    private static double Size(Dense a) => Math.Sqrt(Dot(a.Values, a.Values));

    private static Dense Matrix(string directory, string tensor, int rows, int columns) =>
        Dense.Of(rows, columns, Values(directory)[tensor]);

    private static void RequireOrthogonal(HostMatrix q) =>
        Compare(q.TimesTransposed(q).Values, Dense.Identity(q.Rows).Values, 1e-6, "QᵀQ");
}
