using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Optim;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>
/// Each operation against its plain formula in double: values, and gradients of Σ g∘y with fixed random g by central
/// differences of that formula, which are exact to many more digits than those of an F32 forward pass.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ExpressionTests(DeviceKind kind) : TrainingTest(kind)
{
    private const double Tolerance = 2e-5; // of the largest element: F32 rounding through a few operations
    private const double Floor = 0.3;

    /// <summary>One operation: the shapes of its inputs, how it is stated, and what it means.</summary>
    public sealed record Case(
        string Name,
        Shape[] Inputs,
        Func<Expression[], Expression> Build,
        Func<double[][], double[]> Formula
    )
    {
        public override string ToString() => Name;
    }

    public static IEnumerable<Case> Cases =>
        [.. ElementCases(), .. MatrixCases(), .. ArrangementCases(), .. SpecialCases()];

    [TestCaseSource(nameof(Cases))]
    public void ValuesAreThoseOfTheFormula(Case test)
    {
        using var run = new Run(Device, test);
        float[] actual = run.Output.Value.ToArray();
        VerifyGradient(actual, test.Formula(run.Values), Tolerance, test.Name);
        Assert.That(actual, Has.Length.EqualTo(run.Output.Shape.Count));
    }

    [TestCaseSource(nameof(Cases))]
    public void GradientsAreThoseOfTheFormula(Case test)
    {
        using var run = new Run(Device, test);
        run.Step();
        float[][] gradients = run.Gradients();
        for (int i = 0; i < test.Inputs.Length; i++)
        {
            double[] expected = CentralDifferences.Of(
                run.Values[i],
                1e-5,
                () => test.Formula(run.Values).Zip(run.Direction, (y, g) => y * g).Sum()
            );
            VerifyGradient(gradients[i], expected, Tolerance, $"{test.Name}, input {i}");
        }
    }

    /// <summary>
    /// Contributions to a factor add up over passes; those to a value in between start from nothing in each.
    /// </summary>
    [TestCaseSource(nameof(Cases))]
    public void GradientsAddUp(Case test)
    {
        using Run run = new(Device, test);
        using Run between = new(Device, test with { Build = x => test.Build([.. x.Select(input => input.Scale(1))]) });
        run.Step();
        between.Step();
        float[][] once = run.Gradients();
        run.Step(clear: false);
        between.Step(clear: false);
        foreach (
            (string name, float[][]? twice) in new[] { ("factor", run.Gradients()), ("value", between.Gradients()) }
        )
        {
            for (int i = 0; i < once.Length; i++)
                VerifyGradient(twice[i], Array.ConvertAll(once[i], value => 2.0 * value), Tolerance, $"{name} {i}");
        }
    }

    /// <summary>
    /// Values that were let go of are computed again, to the same bits; and an input that does not train changes
    /// nothing for the others.
    /// </summary>
    [TestCaseSource(nameof(Cases))]
    public void ForgettingAndFreezingChangeNothing(Case test)
    {
        using var run = new Run(Device, test);
        run.Step();
        float[][] gradients = run.Gradients();
        for (int i = 0; i < test.Inputs.Length; i++)
        {
            using var alone = new Run(Device, test, trains: i, kept: 0);
            float[] before = alone.Output.Value.ToArray();
            alone.Step();
            Assert.That(alone.Gradients()[i], Is.EqualTo(gradients[i]), $"input {i}");
            Assert.That(alone.Output.Value.ToArray(), Is.EqualTo(before));
        }
    }

    /// <summary>A step's graph, captured once, reads what the factors hold when it is replayed.</summary>
    [TestCaseSource(nameof(Cases))]
    public void ACapturedStepReadsNewFactors(Case test)
    {
        using var run = new Run(Device, test);
        run.Step(); // makes the index tables, which come from the host
        using var graph = Graph.Capture(Device, run.Step);
        run.Change();
        graph.Launch();
        (float[] value, float[][]? gradients) = (run.Output.Value.ToArray(), run.Gradients());
        run.Step();
        Assert.That(run.Gradients(), Is.EqualTo(gradients));
        Assert.That(run.Output.Value.ToArray(), Is.EqualTo(value));
        VerifyGradient(value, test.Formula(run.Values), Tolerance, test.Name);
    }

    [Test]
    public void EveryOperationHasACase()
    {
        var seen = new HashSet<Type>();
        foreach (Case test in Cases)
        {
            Visit(
                test.Build([
                    .. test.Inputs.Select(shape => (Expression)new Factor("x", shape, true, Start.Zeros, false)),
                ])
            );
        }

        Assert.That(
            typeof(Expression)
                .Assembly.GetTypes()
                .Where(type => type.IsSubclassOf(typeof(Expression)))
                .Except([typeof(BaseTensor), typeof(SpectralChange), typeof(Detached)]),
            Is.SubsetOf(seen)
        );

        void Visit(Expression expression)
        {
            seen.Add(expression.GetType());
            foreach (Expression input in expression.Inputs)
                Visit(input);
        }
    }

    [Test]
    public void LayersOfOneSizeShareATable()
    {
        using Run first = new(Device, Skew());
        using Run second = new(Device, Skew());
        _ = first.Output.Value;
        long used = Device.Memory.InUse;
        _ = second.Output.Value;
        Assert.That(Device.Memory.InUse - used, Is.LessThanOrEqualTo(1024), "the second value alone");

        static Case Skew() => new("", [(2, 6)], x => x[0].SkewSymmetric(4), x => x[0]);
    }

    [Test]
    public void ADetachedValueFollowsItsFactorAndHasNoGradient()
    {
        using Run run = new(
            Device,
            new(
                "",
                [5],
                x => x[0].Multiply(x[0].Detach(), Broadcast.PerElement),
                x => Array.ConvertAll(x[0], a => a * a)
            )
        );
        for (int pass = 0; pass < 2; pass++)
        {
            run.Step();
            VerifyGradient(run.Output.Value.ToArray(), Array.ConvertAll(run.Values[0], a => a * a), Tolerance, "value");
            VerifyGradient(
                run.Gradients()[0],
                [.. run.Values[0].Zip(run.Direction, (a, g) => a * g)],
                Tolerance,
                "gradient"
            );
            run.Change();
        }
    }

    [Test]
    public void LayersShareAConstantTable()
    {
        int made = 0;
        using (
            Run first = new(Device, Ones()),
                second = new(Device, Ones())
        )
        {
            _ = (first.Output.Value, second.Output.Value);
            Assert.That(made, Is.EqualTo(1));
        }
        using Run third = new(Device, Ones());
        _ = third.Output.Value;
        Assert.That(made, Is.EqualTo(2), "the last one to go takes the table with it");

        Case Ones() =>
            new(
                "",
                [4],
                x => x[0].Multiply(Beside(x[0]).Table(4, "ones", () => [1, 1, 1, ++made / made]), Broadcast.PerElement),
                x => x[0]
            );
    }

    [Test]
    public void ShapesThatDoNotFitAreNamed()
    {
        Expression matrix = Make((3, 4));
        Expression vector = Make(4);
        Expression batch = Make((2, 3, 3));
        Assert.Multiple(() =>
        {
            Assert.That(
                () => matrix.MatMul(matrix),
                Throws.ArgumentException.With.Message.Contains("a product of [3, 4] and [3, 4]")
            );
            Assert.That(
                () => matrix.MatMulBlocks(batch),
                Throws.ArgumentException.With.Message.Contains(
                    "a product of [3, 4] and the block diagonal of [2, 3, 3]"
                )
            );
            Assert.That(
                () => matrix.ScaleRows(vector),
                Throws.ArgumentException.With.Message.Contains("[3, 4] times [4] PerRow")
            );
            Assert.That(
                () => matrix.Add(vector),
                Throws.ArgumentException.With.Message.Contains("a sum of [3, 4] and [4]")
            );
            Assert.That(
                () => matrix.Dot(vector),
                Throws.ArgumentException.With.Message.Contains("an inner product of [3, 4] and [4]")
            );
            Assert.That(
                () => vector.AddIdentity(),
                Throws.ArgumentException.With.Message.Contains("[4] plus the identity")
            );
            Assert.That(
                () => matrix.Inverse(),
                Throws.ArgumentException.With.Message.Contains("the inverse of [1, 3, 4]")
            );
            Assert.That(
                () => matrix.Block(2, 0, 2, 2),
                Throws.ArgumentException.With.Message.Contains("a rectangle [2, 2] at row 2, column 0 of [3, 4]")
            );
            Assert.That(
                () => matrix.Reshape(5),
                Throws.ArgumentException.With.Message.Contains("[3, 4] in the shape [5]")
            );
            Assert.That(
                () => ExpressionOperations.ConcatRows(matrix, vector),
                Throws.ArgumentException.With.Message.Contains("rows of [3, 4], [4] together")
            );
            Assert.That(
                () => matrix.UpperTriangle(),
                Throws.ArgumentException.With.Message.Contains("the upper triangle of [3, 4]")
            );
            Assert.That(
                () => matrix.SkewSymmetric(3),
                Throws.ArgumentException.With.Message.Contains(
                    "[3, 4] as the upper triangles of matrices [3, 3]: expected [any, 3]"
                )
            );
            Assert.That(
                () => matrix.Gather(3, [0, 1]),
                Throws.ArgumentException.With.Message.Contains("2 indices for [3]")
            );
            Assert.That(
                () => matrix.TopKMixture(matrix, 1),
                Throws.ArgumentException.With.Message.Contains(
                    "mixtures of 1 vectors of a bank [3, 4] by logits [3, 4]"
                )
            );
            Assert.That(
                () => vector.RandomCombination(matrix, (2, 2), 0, 0, 1),
                Throws.ArgumentException.With.Message.Contains("[4] random directions [2, 2] added to [3, 4]")
            );
            Assert.That(() => batch.Neumann(2), Throws.TypeOf<ArgumentOutOfRangeException>());
        });

        static Factor Make(Shape shape) => new("x", shape, true, Start.Zeros, false);
    }

    private static IEnumerable<Case> ElementCases()
    {
        foreach (Broadcast broadcast in Enum.GetValues<Broadcast>())
        {
            Shape v = broadcast switch
            {
                Broadcast.PerRow => 5,
                Broadcast.PerColumn => 7,
                Broadcast.Single => 1,
                _ => (5, 7),
            };
            int At(int at) =>
                broadcast switch
                {
                    Broadcast.PerRow => at / 7,
                    Broadcast.PerColumn => at % 7,
                    Broadcast.Single => 0,
                    _ => at,
                };
            yield return new(
                $"multiply {broadcast}",
                [(5, 7), v],
                x => x[0].Multiply(x[1], broadcast, -0.5),
                x => [.. x[0].Select((a, at) => -0.5 * a * x[1][At(at)])]
            );
            if (broadcast == Broadcast.PerElement)
                continue;
            double[] Sums(double[] a, double[] b) =>
                [
                    .. Enumerable
                        .Range(0, (int)v.Count)
                        .Select(k => a.Select((value, at) => At(at) == k ? value * b[at] : 0).Sum()),
                ];
            yield return new(
                $"dot {broadcast}",
                [(5, 7), (5, 7)],
                x => x[0].Dot(x[1], broadcast),
                x => Sums(x[0], x[1])
            );
            yield return new(
                $"norm {broadcast}",
                [(5, 7)],
                x => x[0].Norm(broadcast, Floor),
                x => Array.ConvertAll(Sums(x[0], x[0]), s => Math.Max(Math.Sqrt(s), Floor))
            );
        }
        yield return new(
            "square of itself",
            [(3, 4)],
            x => x[0].Multiply(x[0], Broadcast.PerElement),
            x => Array.ConvertAll(x[0], a => a * a)
        );
        yield return new(
            "reciprocal",
            [6],
            x => x[0].Square().Max(Floor).Reciprocal(),
            x => Array.ConvertAll(x[0], a => 1 / Math.Max(a * a, Floor))
        );
        yield return new(
            "root",
            [6],
            x => x[0].Sqrt(Floor),
            x => Array.ConvertAll(x[0], a => Math.Sqrt(Math.Max(a, Floor)))
        );
        yield return new("exp", [6], x => x[0].Exp(), x => Array.ConvertAll(x[0], Math.Exp));
        yield return new("cosine", [6], x => x[0].Cos(), x => Array.ConvertAll(x[0], Math.Cos));
        yield return new("sine", [6], x => x[0].Sin(), x => Array.ConvertAll(x[0], Math.Sin));
        yield return new("max", [6], x => x[0].Max(Floor), x => Array.ConvertAll(x[0], a => Math.Max(a, Floor)));
        yield return new(
            "sum",
            [(3, 4), (3, 4)],
            x => x[0].Add(x[1], 0.3, -1.7),
            x => [.. x[0].Zip(x[1], (a, b) => 0.3 * a - 1.7 * b)]
        );
        yield return new(
            "difference from itself scaled",
            [(3, 4)],
            x => x[0].Subtract(x[0].Scale(0.25)),
            x => Array.ConvertAll(x[0], a => 0.75 * a)
        );
        yield return new(
            "identity",
            [(2, 3, 5)],
            x => x[0].AddIdentity(2.5, -1),
            x => [.. x[0].Select((a, at) => -a + (at / 5 % 3 == at % 5 ? 2.5 : 0))]
        );
    }

    private static IEnumerable<Case> MatrixCases()
    {
        foreach ((bool ta, bool tb) in new[] { (false, false), (true, false), (false, true), (true, true) })
        {
            yield return new(
                $"product {ta} {tb}",
                [ta ? (4, 3) : (3, 4), tb ? (5, 4) : (4, 5)],
                x => x[0].MatMul(x[1], ta, tb, 0.7),
                x => Array.ConvertAll(Product(x[0], ta, x[1], tb, 3, 4, 5), value => 0.7 * value)
            );
            yield return new(
                $"batched product {ta} {tb}",
                [ta ? (2, 4, 3) : (2, 3, 4), tb ? (2, 5, 4) : (2, 4, 5)],
                x => x[0].MatMul(x[1], ta, tb),
                x =>
                    [
                        .. Product(x[0][..12], ta, x[1][..20], tb, 3, 4, 5),
                        .. Product(x[0][12..], ta, x[1][20..], tb, 3, 4, 5),
                    ]
            );
        }
        yield return new(
            "square product",
            [(2, 3, 3)],
            x => x[0].MatMul(x[0]),
            x =>
                [
                    .. Product(x[0][..9], false, x[0][..9], false, 3, 3, 3),
                    .. Product(x[0][9..], false, x[0][9..], false, 3, 3, 3),
                ]
        );
        foreach (bool transpose in new[] { false, true })
        {
            yield return new(
                $"block product {transpose}",
                [(4, 6), transpose ? (2, 5, 3) : (2, 3, 5)],
                x => x[0].MatMulBlocks(x[1], transpose),
                x =>
                {
                    double[] y = new double[4 * 10];
                    for (int b = 0; b < 2; b++)
                    {
                        double[] columns = Enumerable
                            .Range(0, 12)
                            .Select(at => x[0][at / 3 * 6 + b * 3 + at % 3])
                            .ToArray();
                        double[] block = Product(columns, false, x[1][(b * 15)..(b * 15 + 15)], transpose, 4, 3, 5);
                        for (int at = 0; at < 20; at++)
                            y[at / 5 * 10 + b * 5 + at % 5] = block[at];
                    }
                    return y;
                }
            );
        }

        yield return new(
            "inverse",
            [(4, 4)],
            x => x[0].AddIdentity(4).Inverse(),
            x => Inverse(Diagonal(x[0], 4, 1), 4)
        );
        yield return new(
            "batched inverse",
            [(2, 3, 3)],
            x => x[0].AddIdentity(4).Inverse(),
            x => [.. Inverse(Diagonal(x[0][..9], 4, 1), 3), .. Inverse(Diagonal(x[0][9..], 4, 1), 3)]
        );
        foreach (bool opposite in new[] { false, true })
        {
            yield return new(
                $"Cayley {opposite}",
                [(1, 6)],
                x => x[0].SkewSymmetric(4).Cayley(opposite),
                x =>
                {
                    double[] s = Array.ConvertAll(Skew(x[0], 4), value => opposite ? -value : value);
                    return Product(
                        Diagonal(Array.ConvertAll(s, value => -value), 1, 1),
                        false,
                        Inverse(Diagonal(s, 1, 1), 4),
                        false,
                        4,
                        4,
                        4
                    );
                }
            );
        }

        foreach (
            (int terms, double[] coefficients) in new[]
            {
                (3, new double[] { 1, 2, 2, 1 }),
                (4, [1, 2, 2, 1]),
                (5, [1, 2, 2, 2, 1]),
                (6, [1, 2, 2, 2, 2, 1]),
            }
        )
        {
            yield return new(
                $"Neumann {terms}",
                [(1, 6)],
                x => x[0].Scale(0.3).SkewSymmetric(4).Neumann(terms),
                x =>
                {
                    double[] s = Skew(Array.ConvertAll(x[0], value => 0.3 * value), 4);
                    double[] power = Diagonal(new double[16], 1, 1);
                    double[] sum = new double[16];
                    foreach (double coefficient in coefficients)
                    {
                        sum = [.. sum.Zip(power, (a, b) => a + coefficient * b)];
                        power = Product(power, false, s, false, 4, 4, 4);
                    }
                    return sum;
                }
            );
        }
    }

    /// <summary>The factor that an input is, or is made of.</summary>
    private static Factor Beside(Expression input) => input as Factor ?? (Factor)input.Inputs[0];

    private static IEnumerable<Case> ArrangementCases()
    {
        yield return new(
            "rows together",
            [(2, 3), (4, 3)],
            x => ExpressionOperations.ConcatRows(x[0], x[1], x[0]),
            x => [.. x[0], .. x[1], .. x[0]]
        );
        yield return new(
            "columns together",
            [(2, 3), (2, 1)],
            x => ExpressionOperations.ConcatColumns(x[0], x[1]),
            x => [x[0][0], x[0][1], x[0][2], x[1][0], x[0][3], x[0][4], x[0][5], x[1][1]]
        );
        yield return new("rectangle", [(4, 5)], x => x[0].Block(1, 2, 2, 3), x => [.. x[0][7..10], .. x[0][12..15]]);
        yield return new(
            "two rectangles",
            [(4, 5)],
            x => x[0].Block(0, 0, 2, 2).Add(x[0].Block(1, 1, 2, 2)),
            x => [x[0][0] + x[0][6], x[0][1] + x[0][7], x[0][5] + x[0][11], x[0][6] + x[0][12]]
        );
        yield return new(
            "reshaped",
            [(3, 4)],
            x => x[0].Reshape((2, 6)).Add(x[0].Square().Reshape((2, 6))),
            x => Array.ConvertAll(x[0], a => a + a * a)
        );
        yield return new(
            "transposed",
            [(3, 4)],
            x => x[0].Transpose().Add(x[0].Transpose().Square()),
            x => [.. Enumerable.Range(0, 12).Select(at => x[0][at % 3 * 4 + at / 3]).Select(a => a + a * a)]
        );
        yield return new(
            "permuted",
            [(2, 3, 4)],
            x => x[0].Permute(2, 0, 1),
            x => [.. Enumerable.Range(0, 24).Select(at => x[0][at / 3 % 2 * 12 + at % 3 * 4 + at / 6])]
        );
        yield return new(
            "gathered",
            [5],
            x => x[0].Gather((2, 3), [4, -1, 0, 4, 2, 1], [1, 2, 3, -4, 5, 6]),
            x => [x[0][4], 0, 3 * x[0][0], -4 * x[0][4], 5 * x[0][2], 6 * x[0][1]]
        );
        yield return new("repeated", [(2, 3)], x => x[0].Repeat(3), x => [.. x[0], .. x[0], .. x[0]]);
        yield return new(
            "tiled",
            [(2, 3)],
            x => x[0].Tile(2, 2),
            x => [.. Enumerable.Range(0, 24).Select(at => x[0][at / 6 % 2 * 3 + at % 6 % 3])]
        );
        yield return new(
            "block diagonal",
            [(2, 1, 2)],
            x => x[0].BlockDiagonal(),
            x => [x[0][0], x[0][1], 0, 0, 0, 0, x[0][2], x[0][3]]
        );
        yield return new(
            "upper triangle",
            [(3, 3)],
            x => x[0].UpperTriangle(0.5),
            x => [0.5 * x[0][0], x[0][1], x[0][2], 0, 0.5 * x[0][4], x[0][5], 0, 0, 0.5 * x[0][8]]
        );
        yield return new(
            "table",
            [(2, 3)],
            x => x[0].Multiply(Beside(x[0]).Table((2, 3), "squares", () => [0, 1, 4, 9, 16, 25]), Broadcast.PerElement),
            x => [.. x[0].Select((a, at) => a * at * at)]
        );
        yield return new(
            "skew-symmetric",
            [(2, 6)],
            x => x[0].SkewSymmetric(4),
            x => [.. Skew(x[0][..6], 4), .. Skew(x[0][6..], 4)]
        );
    }

    private static IEnumerable<Case> SpecialCases()
    {
        yield return new(
            "random combination",
            [3, (4, 5)],
            x => x[0].RandomCombination(x[1], (4, 5), 7, 100, 0.5),
            x => [.. Random(x[0]).Zip(x[1], (a, b) => a + b)]
        );
        yield return new(
            "random combination alone",
            [3],
            x => x[0].RandomCombination(null, (4, 5), 7, 100, 0.5),
            x => Random(x[0])
        );
        yield return new(
            "mixture",
            [(4, 6), (6, 5)],
            x => x[0].TopKMixture(x[1], 2),
            x =>
            {
                double[] y = new double[20];
                for (int p = 0; p < 4; p++)
                {
                    int[] order = Enumerable.Range(0, 6).OrderByDescending(j => x[0][p * 6 + j]).Take(2).ToArray();
                    double sum = order.Sum(j => Math.Exp(x[0][p * 6 + j]));
                    foreach (int j in order)
                    {
                        for (int c = 0; c < 5; c++)
                            y[p * 5 + c] += Math.Exp(x[0][p * 6 + j]) / sum * x[1][j * 5 + c];
                    }
                }
                return y;
            }
        );

        static double[] Random(double[] alpha)
        {
            Device device = Devices.Get(DeviceKind.Cpu);
            double[] y = new double[20];
            for (int i = 0; i < alpha.Length; i++)
            {
                using var u = Tensor.Empty(device, 20);
                Philox.Uniform(u, 7, 100 + (ulong)i, -0.5f, 0.5f);
                y = [.. y.Zip(u.ToArray(), (a, b) => a + alpha[i] * b)];
            }
            return y;
        }
    }

    private static double[] Product(double[] a, bool transposeA, double[] b, bool transposeB, int m, int k, int n)
    {
        double[] c = new double[m * n];
        for (int at = 0; at < c.Length; at++)
        {
            for (int l = 0; l < k; l++)
            {
                c[at] +=
                    a[transposeA ? l * m + at / n : at / n * k + l] * b[transposeB ? at % n * k + l : l * n + at % n];
            }
        }

        return c;
    }

    private static double[] Diagonal(double[] square, double plus, double scale)
    {
        int n = (int)Math.Sqrt(square.Length);
        return [.. square.Select((value, at) => scale * value + (at / n == at % n ? plus : 0))];
    }

    private static double[] Skew(double[] upper, int n)
    {
        double[] s = new double[n * n];
        for (int i = 0, at = 0; i < n; i++)
        {
            for (int j = i + 1; j < n; j++)
                (s[i * n + j], s[j * n + i]) = (upper[at], -upper[at++]);
        }

        return s;
    }

    // Gauss-Jordan without pivoting: the cases are diagonally heavy.
    private static double[] Inverse(double[] x, int n)
    {
        double[] a = [.. x];
        double[] y = Diagonal(new double[n * n], 1, 1);
        for (int k = 0; k < n; k++)
        {
            double pivot = a[k * n + k];
            for (int j = 0; j < n; j++)
                (a[k * n + j], y[k * n + j]) = (a[k * n + j] / pivot, y[k * n + j] / pivot);
            for (int i = 0; i < n; i++)
            {
                double factor = a[i * n + k];
                for (int j = 0; i != k && j < n; j++)
                {
                    (a[i * n + j], y[i * n + j]) = (
                        a[i * n + j] - factor * a[k * n + j],
                        y[i * n + j] - factor * y[k * n + j]
                    );
                }
            }
        }
        return y;
    }

    /// <summary>A case on a device, its inputs factors with random values.</summary>
    private sealed class Run : IDisposable
    {
        private readonly Tensor _direction;
        private readonly ExpressionGraph _graph;
        private readonly ParameterSet _trained;
        private readonly Factor[] _factors;
        private readonly List<Parameter> _frozen = [];

        public Run(Device device, Case test, int? trains = null, long kept = long.MaxValue)
        {
            var random = new Random(5);
            Values = [.. test.Inputs.Select(shape => Array.ConvertAll(Normal(shape.Count), value => (double)value))];
            _factors =
            [
                .. test.Inputs.Select(
                    (shape, i) => new Factor($"x{i}", shape, trains is null || trains == i, Start.Zeros, false)
                ),
            ];
            _trained = new ParameterSet(
                device,
                _factors.Where(factor => factor.Trains).Select(factor => (factor.Name, factor.Shape))
            );
            _trained.EnableGradients();
            int next = 0;
            foreach ((Factor factor, double[] values) in _factors.Zip(Values))
            {
                if (factor.Trains)
                    factor.Parameter = _trained.Parameters[next++];
                else
                    _frozen.Add(factor.Parameter = new Parameter(factor.Name, Tensor.Empty(device, factor.Shape)));
                factor.Parameter.Master.CopyFrom(Array.ConvertAll(values, value => (float)value));
            }
            Output = test.Build([.. _factors]);
            _graph = new ExpressionGraph([Output], kept);
            float[] direction = Normal(Output.Shape.Count);
            Direction = Array.ConvertAll(direction, value => (double)value);
            _direction = Tensor.From(device, direction, Output.Shape);

            float[] Normal(long count) =>
                [
                    .. Enumerable
                        .Range(0, (int)count)
                        .Select(_ =>
                            (float)(
                                Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()))
                                * Math.Cos(2 * Math.PI * random.NextDouble())
                            )
                        ),
                ];
        }

        public double[][] Values { get; }

        public double[] Direction { get; }

        public Expression Output { get; }

        /// <summary>Forward and backward, as once per optimizer step.</summary>
        public void Step() => Step(clear: true);

        /// <inheritdoc cref="Step()"/>
        public void Step(bool clear)
        {
            if (clear)
                _trained.ClearGradients();
            _graph.Renew();
            _ = Output.Value;
            _graph.Trim();
            Output.GradientBuffer(out _)!.CopyFrom(_direction);
            _graph.Backward();
        }

        public float[][] Gradients() => [.. _factors.Select(factor => factor.Parameter.Gradient?.ToArray() ?? [])];

        /// <summary>Other values for all factors.</summary>
        public void Change()
        {
            foreach ((Factor factor, int i) in _factors.Select((factor, i) => (factor, i)))
            {
                Values[i] = Array.ConvertAll(Values[i], value => (double)(float)(0.9 * value));
                factor.Parameter.Master.CopyFrom(Array.ConvertAll(Values[i], value => (float)value));
            }
        }

        public void Dispose()
        {
            _graph.Clear();
            _direction.Dispose();
            foreach (Parameter parameter in _frozen)
                parameter.Dispose();
            _trained.Dispose();
        }
    }
}
