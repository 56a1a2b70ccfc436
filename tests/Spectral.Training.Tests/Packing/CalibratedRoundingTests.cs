using Spectral.Tests.Support;
using Spectral.Training.Numerics;
using Spectral.Training.Packing;

namespace Spectral.Training.Tests.Packing;

/// <summary>
/// GPTQ, against its own recursion in double: the inverse of the damped products, the upper Cholesky factor of that,
/// and updates of all later entries.
/// </summary>
public sealed class CalibratedRoundingTests
{
    private const double Damping = 0.01;
    private static readonly (int Bits, int Count)[] Bands = [(8, 1), (3, 2), (2, 1)];
    private static readonly int[] Bits = [8, 3, 3, 2];

    [TestCase(1)]
    [TestCase(7)]
    [TestCase(33)]
    [TestCase(131)]
    [TestCase(260)]
    public void RowsAreThoseOfTheRecursion(int inputs)
    {
        HostMatrix rows = Normal(inputs, Bits.Length, inputs);
        double[,] products = Products(inputs, 3 * inputs);
        float[] found = CalibratedRounding.Rows(rows, Bands, Matrix(products), Damping).ToFloats();
        double[,] damped = Damped(products);
        double[,] factor = FactorOfInverse(damped);
        for (int row = 0; row < Bits.Length; row++)
        {
            double[] expected = Row(rows.Row(row).ToArray(), Bits[row], damped, factor);
            for (int j = 0; j < inputs; j++)
            {
                float value = found[(row * inputs) + j];
                Assert.That(value, Is.EqualTo(expected[j]).Within(1e-5), $"[{row}, {j}]");
            }
        }
    }

    [TestCase(5)]
    [TestCase(130)]
    public void ColumnsAreThoseOfTheRecursion(int outputs)
    {
        HostMatrix columns = Normal(outputs, Bits.Length, outputs);
        double[,] products = Products(Bits.Length, 9);
        float[] found = CalibratedRounding.Columns(columns, Bands, Matrix(products), Damping).ToFloats();
        double[,] factor = FactorOfInverse(Damped(products));
        double[][] current = [.. Enumerable.Range(0, Bits.Length).Select(i => columns.Row(i).ToArray())];
        for (int k = 0; k < Bits.Length; k++)
        {
            RoundedVector rounded = BandRounding.Nearest(current[k], Bits[k]);
            for (int j = 0; j < outputs; j++)
            {
                double value = rounded.Norm * rounded.Direction(j, Bits[k]);
                Assert.That(found[(k * outputs) + j], Is.EqualTo(value).Within(1e-5), $"[{k}, {j}]");
                for (int later = k + 1; later < Bits.Length; later++)
                    current[later][j] -= (current[k][j] - value) / factor[k, k] * factor[k, later];
            }
        }
    }

    [TestCase(7, 5)]
    [TestCase(33, 40)]
    [TestCase(150, 60)]
    public void OutputsOfCorrelatedInputsChangeLessThanByRoundingToTheNearest(int inputs, int tokens)
    {
        HostMatrix rows = Normal(3, Bits.Length, inputs);
        double[,] products = Products(inputs, tokens);
        BandMatrix calibrated = CalibratedRounding.Rows(rows, Bands, Matrix(products), Damping);
        double error = OutputError(rows, calibrated, products);
        Assert.That(error, Is.Positive.And.LessThan(0.8 * OutputError(rows, BandMatrix.Of(rows, Bands), products)));
    }

    [Test]
    public void WithoutAnyInputEachEntryGoesToTheNearestLevel()
    {
        HostMatrix rows = Normal(5, Bits.Length, 131);
        BandMatrix calibrated = CalibratedRounding.Rows(rows, Bands, new HostMatrix(131, 131), Damping);
        Assert.That(calibrated.ToFloats(), Is.EqualTo(BandMatrix.Of(rows, Bands).ToFloats()).Within(1e-6));
    }

    [Test]
    public void ARowOfZerosStaysZero()
    {
        BandMatrix calibrated = CalibratedRounding.Rows(new HostMatrix(4, 9), Bands, Matrix(Products(9, 20)), Damping);
        Assert.That(calibrated.ToFloats(), Is.All.Zero);
    }

    [TestCase(1)]
    [TestCase(9)]
    [TestCase(300)]
    public void TheUpperRootMultipliesToTheMatrix(int size)
    {
        HostMatrix matrix = Matrix(Damped(Products(size, 2 * size)));
        HostMatrix root = matrix.UpperRoot();
        HostMatrix product = root.TimesTransposed(root);
        for (int i = 0; i < size; i++)
        {
            for (int j = 0; j < size; j++)
            {
                Assert.That(product[i, j], Is.EqualTo(matrix[i, j]).Within(1e-9 * size));
                Assert.That(j >= i || root[i, j] == 0);
            }
        }
    }

    private static double[] Row(double[] row, int bits, double[,] products, double[,] factor)
    {
        double norm = Math.Sqrt(row.Sum(x => x * x));
        double[] current = [.. row.Select(x => x / norm)];
        double[] direction = new double[row.Length];
        float scale = 0;
        for (int j = 0; j < row.Length; j++)
        {
            if (j % 128 == 0)
                scale = BandRounding.BestScale(current.AsSpan(j, Math.Min(128, row.Length - j)), bits);
            double[] levels =
            [
                .. Enumerable.Range(0, 1 << bits).Select(code => scale * (code - Math.Pow(2, bits - 1) + 0.5)),
            ];
            direction[j] = levels.MinBy(level => Math.Abs(level - current[j]));
            double error = (current[j] - direction[j]) / factor[j, j];
            for (int k = j + 1; k < row.Length; k++)
                current[k] -= error * factor[j, k];
        }
        (double along, double own) = (0, 0);
        for (int i = 0; i < row.Length; i++)
        {
            for (int j = 0; j < row.Length; j++)
            {
                along += row[i] * products[i, j] * direction[j];
                own += direction[i] * products[i, j] * direction[j];
            }
        }
        return [.. direction.Select(x => along / own * x)];
    }

    /// <summary>U with UᵀU the inverse of a matrix, U upper triangular.</summary>
    private static double[,] FactorOfInverse(double[,] matrix)
    {
        int n = matrix.GetLength(0);
        double[,] inverse = new double[n, n];
        double[,] left = (double[,])matrix.Clone();
        for (int i = 0; i < n; i++)
            inverse[i, i] = 1;
        for (int pivot = 0; pivot < n; pivot++)
        {
            double divisor = left[pivot, pivot];
            for (int j = 0; j < n; j++)
                (left[pivot, j], inverse[pivot, j]) = (left[pivot, j] / divisor, inverse[pivot, j] / divisor);
            for (int i = 0; i < n; i++)
            {
                double factor = left[i, pivot];
                if (i == pivot || factor == 0)
                    continue;
                for (int j = 0; j < n; j++)
                {
                    left[i, j] -= factor * left[pivot, j];
                    inverse[i, j] -= factor * inverse[pivot, j];
                }
            }
        }

        double[,] upper = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int j = i; j < n; j++)
            {
                double sum = inverse[i, j];
                for (int k = 0; k < i; k++)
                    sum -= upper[k, i] * upper[k, j];
                upper[i, j] = i == j ? Math.Sqrt(sum) : sum / upper[i, i];
            }
        }
        return upper;
    }

    private static double[,] Damped(double[,] products)
    {
        int n = products.GetLength(0);
        double trace = Enumerable.Range(0, n).Sum(i => products[i, i]);
        double[,] damped = (double[,])products.Clone();
        for (int i = 0; i < n; i++)
            damped[i, i] += Damping * trace / n;
        return damped;
    }

    private static double OutputError(HostMatrix rows, BandMatrix rounded, double[,] products)
    {
        HostMatrix errors = rows.Plus(HostMatrix.From(rounded.ToFloats(), rows.Rows, rows.Columns), -1);
        HostMatrix outputs = errors.TimesTransposed(Matrix(products));
        double sum = 0;
        for (int i = 0; i < rows.Rows; i++)
            sum += HostMatrix.Dot(outputs.Row(i), errors.Row(i));
        return sum;
    }

    /// <summary>Σ x xᵀ of inputs that all follow three directions, with a tenth of noise.</summary>
    private static double[,] Products(int inputs, int tokens)
    {
        Random random = new(inputs);
        HostMatrix directions = Normal(inputs + 1, 3, inputs);
        double[,] products = new double[inputs, inputs];
        for (int token = 0; token < tokens; token++)
        {
            double[] shares = [random.NextNormal(), random.NextNormal(), random.NextNormal()];
            double[] x =
            [
                .. Enumerable
                    .Range(0, inputs)
                    .Select(j =>
                        shares.Select((share, i) => share * directions[i, j]).Sum() + (0.1 * random.NextNormal())
                    ),
            ];
            for (int i = 0; i < inputs; i++)
            {
                for (int j = 0; j < inputs; j++)
                    products[i, j] += x[i] * x[j];
            }
        }
        return products;
    }

    private static HostMatrix Normal(int seed, int rows, int columns)
    {
        Random random = new(seed);
        return new HostMatrix(rows, columns, [.. Enumerable.Range(0, rows * columns).Select(_ => random.NextNormal())]);
    }

    private static HostMatrix Matrix(double[,] values) =>
        new(values.GetLength(0), values.GetLength(1), [.. values.Cast<double>()]);
}
