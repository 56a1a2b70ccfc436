using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Methods;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Methods;

/// <summary>
/// What methods start from, where that is not zero: the properties that make the decompositions what they are.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class StartTests(DeviceKind kind) : TrainingTest(kind)
{
    private const int Rank = 3;
    private static readonly AdapterOptions Options = new()
    {
        Rank = Rank,
        Alpha = 5,
        Seed = 5,
        TargetModules = ["q_proj", "down_proj", "k_proj"],
    };

    [Test]
    public void PissaStartsFromTheLeadingTripletsAndMiloraFromTheLast()
    {
        ForEach(
            "pissa",
            (module, weight) =>
                Assert.That(
                    Left(Change(module, "pissa"), weight, Rank, Math.Min(weight.Rows, weight.Columns)),
                    Is.LessThan(1e-5)
                )
        );
        ForEach(
            "milora",
            (module, weight) =>
            {
                int all = Math.Min(weight.Rows, weight.Columns);
                Assert.That(Left(Change(module, "milora"), weight, 0, all - Rank), Is.LessThan(1e-5));
            }
        );
    }

    [Test]
    public void SokasProductsAreTheLeadingOnesOfTheRearrangedWeight() =>
        ForEach(
            "soka",
            (module, weight) =>
            {
                (int tall, int wide) = (Middle(weight.Rows), Middle(weight.Columns));
                (int high, int broad) = (weight.Rows / tall, weight.Columns / wide);
                var rearranged = Dense.Of(
                    tall * wide,
                    high * broad,
                    (row, column) => weight[row / wide * high + column / broad, row % wide * broad + column % broad]
                );
                Dense a = Factor(module, "soka_A", tall * wide, Rank);
                Dense b = Factor(module, "soka_B", Rank, high * broad);
                Assert.That(
                    Left(module.Options.Scale * (a * b), rearranged, Rank, Math.Min(tall * wide, high * broad)),
                    Is.LessThan(1e-5)
                );
            }
        );

    /// <summary>By hand: shares of a squared norm of 30, and second differences of logarithms.</summary>
    [TestCase(1, false, 4)]
    [TestCase(0.5, false, 1)]
    [TestCase(0.55, false, 2)]
    [TestCase(0.9, false, 3)]
    [TestCase(1, true, 2)]
    [TestCase(0.5, true, 1)]
    public void SokaTakesAsManyProductsAsTheSpectrumAsksFor(double energy, bool elbow, int count) =>
        Assert.That(SokaMethod.Count([4, 3, 1.5, 1.4], Math.Sqrt(30), energy, elbow), Is.EqualTo(count));

    /// <summary>Each output is in one group, whose directions are orthonormal and span its rows of U best.</summary>
    [Test]
    public void AdamssDividesTheOutputs() =>
        ForEach(
            "adamss",
            (module, weight) =>
            {
                Dense groups = Factor(module, "adamss_groups", weight.Rows, 5);
                for (int i = 0; i < weight.Rows; i++)
                    Assert.That(Enumerable.Range(0, 5).Count(c => groups[i, c] == 1), Is.EqualTo(1));
                Dense a = Factor(module, "adamss_A", 5, Rank);
                Dense v = Factor(module, "adamss_V", Rank, weight.Columns);
                Check(v * v.Transposed, Dense.Identity(Rank), 1e-5);
                // W·Vᵀ = U·diag(σ); the first direction of a group is the largest axis of its rows of U.
                using SvdResult svd = Svd.Compute(Tensor(weight), Rank, SvdMethod.Exact);
                float[] sigma = svd.S.ToArray();
                Dense u = weight * v.Transposed * Dense.Diagonal([.. sigma.Select(value => 1.0 / value)]);
                for (int c = 0; c < 5; c++)
                {
                    int[] inside = [.. Enumerable.Range(0, weight.Rows).Where(i => groups[i, c] == 1)];
                    var rows = Dense.Of(inside.Length, Rank, (i, j) => u[inside[i], j]);
                    Dense moments = rows.Transposed * rows;
                    var axis = Dense.Of(Rank, 1, (i, _) => a[c, i]);
                    double along = (axis.Transposed * moments * axis)[0, 0];
                    Check(moments * axis, along * axis, 1e-4);
                    Assert.That((axis.Transposed * axis)[0, 0], Is.EqualTo(1).Within(1e-5));
                    Assert.That(
                        along,
                        Is.GreaterThanOrEqualTo(Enumerable.Range(0, Rank).Max(i => moments[i, i]) - 1e-5),
                        "the largest of them"
                    );
                }
            }
        );

    private static int Middle(int size) =>
        Enumerable.Range(1, size).Last(divisor => size % divisor == 0 && divisor * divisor <= size);

    [Test]
    public void MicasFrozenVectorsAreOrthonormalAndMinor() =>
        ForEach(
            "mica",
            (module, weight) =>
            {
                Dense u = Factor(module, "lora_B.weight", weight.Rows, Rank);
                Check(u.Transposed * u, Dense.Identity(Rank), 1e-5);
                using SvdResult svd = Svd.Compute(
                    Tensor(weight),
                    Math.Min(weight.Rows, weight.Columns),
                    SvdMethod.Exact
                );
                float[] sigma = svd.S.ToArray();
                Dense along = u.Transposed * weight;
                for (int i = 0; i < Rank; i++)
                {
                    Assert.That(
                        Math.Sqrt(Enumerable.Range(0, weight.Columns).Sum(j => along[i, j] * along[i, j])),
                        Is.EqualTo(sigma[^(Rank - i)]).Within(1e-4 * sigma[0])
                    );
                }
            }
        );

    [Test]
    public void OlorasFactorsAreTheQrDecompositions() =>
        ForEach(
            "olora",
            (module, weight) =>
            {
                Dense q = Factor(module, "lora_B.weight", weight.Rows, Rank);
                Dense t = Factor(module, "lora_A.weight", Rank, weight.Columns);
                Check(q.Transposed * q, Dense.Identity(Rank), 1e-5);
                Check(q.Transposed * weight, t, 1e-4);
                for (int i = 0; i < Rank; i++)
                {
                    for (int j = 0; j < i; j++)
                        Assert.That(t[i, j], Is.EqualTo(0).Within(1e-4), "triangular");
                }
            }
        );

    [Test]
    public void QrLorasFrameTakesTheLongestColumnsFirst() =>
        ForEach(
            "qr-lora",
            (module, weight) =>
            {
                Dense q = Factor(module, "qr_Q", weight.Rows, Rank);
                Dense t = Factor(module, "qr_R", Rank, weight.Columns);
                Check(q.Transposed * q, Dense.Identity(Rank), 1e-5);
                Check(q.Transposed * weight, t, 1e-4);
                double Longest(Dense rows, int i) => Enumerable.Range(0, weight.Columns).Max(j => Math.Abs(rows[i, j]));
                for (int i = 1; i < Rank; i++)
                    Assert.That(Longest(t, i), Is.LessThanOrEqualTo(Longest(t, i - 1) + 1e-5), "pivots descend");
            }
        );

    [Test]
    public void LoldusFactorsAreTheLuDecompositions() =>
        ForEach(
            "loldu",
            (module, weight) =>
            {
                Dense l = Factor(module, "loldu_L", weight.Rows, Rank);
                Dense u = Factor(module, "loldu_U", Rank, weight.Columns);
                Dense left = weight - l * Dense.Diagonal(Values(module, "loldu_z")) * u;
                Assert.That(
                    Enumerable
                        .Range(0, weight.Rows)
                        .Count(i => Enumerable.Range(0, weight.Columns).All(j => Math.Abs(left[i, j]) < 1e-4)),
                    Is.GreaterThanOrEqualTo(Rank),
                    "r rows are done"
                );
                for (int j = 0; j < Rank; j++)
                {
                    Assert.That(
                        Enumerable.Range(0, weight.Rows).Max(i => Math.Abs(left[i, j])),
                        Is.LessThan(1e-4),
                        "r columns are done"
                    );
                }

                Assert.That(l.Values.Max(Math.Abs), Is.EqualTo(1).Within(1e-6), "partial pivoting");
            }
        );

    [Test]
    public void DorasMagnitudesAreTheLengthsOfTheRows() =>
        ForEach(
            "dora",
            (module, weight) =>
            {
                double[] m = Values(module, "lora_magnitude_vector");
                for (int i = 0; i < weight.Rows; i++)
                {
                    Assert.That(
                        m[i],
                        Is.EqualTo(Math.Sqrt(Enumerable.Range(0, weight.Columns).Sum(j => weight[i, j] * weight[i, j])))
                            .Within(1e-5)
                    );
                }
            }
        );

    [Test]
    public void SvdiffsSingularValuesStopAtZero() =>
        ForEach(
            "svdiff",
            (module, weight) =>
            {
                module
                    .Factors["svdiff_delta"]
                    .Master.CopyFrom(Enumerable.Repeat(-1e3f, Math.Min(weight.Rows, weight.Columns)).ToArray());
                module.Core.Refresh(all: false);
                Assert.That(module.Core.MergedWeight(), Is.All.EqualTo(0).Within(1e-5));
            }
        );

    private void ForEach(string method, Action<AdaptedModule, Dense> check)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(TinyModels.Llama, Device, Folder));
        using var adapter = Adapter.Attach(model, AdapterMethods.Find(method), Options);
        foreach (AdaptedModule module in adapter.Modules)
        {
            float[] weight = model.Linears.First(linear => linear.Name == module.Shape.Name).Weight.Value.ToArray();
            check(
                module,
                Dense.Of(module.Shape.Out, module.Shape.In, Array.ConvertAll(weight, value => (double)value))
            );
        }
        model.Dispose();
    }

    private static double[] Values(AdaptedModule module, string factor) =>
        Array.ConvertAll(module.Factors[factor].Master.ToArray(), value => (double)value);

    private static Dense Factor(AdaptedModule module, string factor, int rows, int columns) =>
        Dense.Of(rows, columns, Values(module, factor));

    /// <summary>s·B·A.</summary>
    private static Dense Change(AdaptedModule module, string method)
    {
        Assert.That(module.Options.Scale, Is.EqualTo(5.0 / Rank), method);
        return module.Options.Scale
            * (
                Factor(module, "lora_B.weight", module.Shape.Out, Rank)
                * Factor(module, "lora_A.weight", Rank, module.Shape.In)
            );
    }

    private Tensor Tensor(Dense matrix) =>
        Keep(
            Kernels.Tensor.From(
                Device,
                Array.ConvertAll(matrix.Values, value => (float)value),
                (matrix.Rows, matrix.Columns)
            )
        );

    /// <summary>
    /// How far the singular values of W − change are from those of W from one index to another, relative to the
    /// largest.
    /// </summary>
    private double Left(Dense change, Dense weight, int from, int to)
    {
        int all = Math.Min(weight.Rows, weight.Columns);
        using SvdResult svd = Svd.Compute(Tensor(weight), all, SvdMethod.Exact);
        using SvdResult rest = Svd.Compute(Tensor(weight - change), all, SvdMethod.Exact);
        float[] sigma = svd.S.ToArray();
        float[] left = rest.S.ToArray();
        Assert.That(
            left.Skip(to - from),
            Is.All.LessThan(1e-4f * sigma[0]),
            "the rest of the weight lacks r directions"
        );
        return Enumerable.Range(from, to - from).Max(i => Math.Abs(sigma[i] - left[i - from])) / sigma[0];
    }

    private static void Check(Dense actual, Dense expected, double tolerance)
    {
        for (int i = 0; i < expected.Values.Length; i++)
            Assert.That(actual.Values[i], Is.EqualTo(expected.Values[i]).Within(tolerance));
    }
}
