using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Spectra;

namespace Spectral.Training.Optim;

/// <summary>Chooses the coefficients of Newton–Schulz steps by the shape of the matrix.</summary>
internal static class NewtonSchulzFit
{
    private const int Steps = 5;
    private const int MostValues = 64;
    private const int Iterations = 60;

    /// <summary>Largest value that a singular value, also one far off the spectrum, may be moved to.</summary>
    private const double Bound = 1.5;

    /// <summary>
    /// Returns the coefficients that ROOT's authors publish for a shape or its transpose, or Muon's if they publish
    /// none.
    /// </summary>
    public static NewtonSchulz Published(Shape shape) =>
        (Math.Min(shape[0], shape[1]), Math.Max(shape[0], shape[1])) switch
        {
            (2048, 2048) => new NewtonSchulz(3.4916f, -4.8224f, 2.1095f),
            (2048, 3072) => new NewtonSchulz(3.4509f, -4.5790f, 1.9325f),
            (2048, 8192) => new NewtonSchulz(2.9794f, -3.6674f, 1.6207f),
            (2048, 16384) => new NewtonSchulz(3.1943f, -3.8221f, 1.5322f),
            _ => NewtonSchulz.Muon,
        };

    /// <summary>
    /// Returns the coefficients whose five steps bring the singular values of a random matrix, as the law of Marchenko
    /// and Pastur has them for the shape, nearest to 1 in the mean square. The search begins at Muon's
    /// and stays where no singular value can grow beyond 1.5.
    /// </summary>
    public static NewtonSchulz For(Shape shape)
    {
        double[] values = Spectrum(shape);
        double[] best = [NewtonSchulz.Muon.Linear, NewtonSchulz.Muon.Cubic, NewtonSchulz.Muon.Quintic];
        double least = Error(best, values);
        double damping = 1e-3;
        for (int iteration = 0; iteration < Iterations; iteration++)
        {
            double[] next = [.. best.Zip(Change(best, values, damping), (value, change) => value + change)];
            double error = Error(next, values);
            bool isBetter = error < least && IsBounded(next);
            damping *= isBetter ? 0.3 : 4;
            if (isBetter)
                (best, least) = (next, error);
        }

        return new NewtonSchulz((float)best[0], (float)best[1], (float)best[2]);
    }

    /// <summary>Returns some singular values of a random matrix of a shape, whose Frobenius norm is 1.</summary>
    internal static double[] Spectrum(Shape shape)
    {
        (int least, int most) = (Math.Min(shape[0], shape[1]), Math.Max(shape[0], shape[1]));
        int count = Math.Min(least, MostValues);
        IEnumerable<int> positions = Enumerable.Range(0, count).Select(i => (int)((long)i * least / count));
        double[] values = MarchenkoPastur.Expected(positions, least, most);
        double norm = Math.Sqrt(values.Average(value => value * value) * least);
        return [.. values.Select(value => value / norm)];
    }

    /// <summary>Returns the mean of (1 − f(σ))², where f is five steps.</summary>
    internal static double Error(double[] coefficients, double[] values) =>
        values.Average(value => Math.Pow(1 - Moved(coefficients, value), 2));

    /// <summary>Returns whether five steps leave every singular value bounded that a matrix of norm 1 has.</summary>
    private static bool IsBounded(double[] coefficients) =>
        Enumerable.Range(0, 1001).All(i => Math.Abs(Moved(coefficients, i / 1000.0)) <= Bound);

    private static double Moved(double[] coefficients, double value)
    {
        for (int step = 0; step < Steps; step++)
            value = Polynomial(coefficients, value);
        return value;
    }

    private static double Polynomial(double[] coefficients, double x)
    {
        double square = x * x;
        return x * (coefficients[0] + (square * (coefficients[1] + (square * coefficients[2]))));
    }

    /// <summary>A step of Levenberg and Marquardt: (JᵀJ + λI) d = Jᵀ(1 − f).</summary>
    private static double[] Change(double[] coefficients, double[] values, double damping)
    {
        double[,] system = new double[3, 4];
        foreach (double value in values)
        {
            (double moved, double[] slopes) = Slopes(coefficients, value);
            for (int i = 0; i < 3; i++)
            {
                for (int j = 0; j < 3; j++)
                    system[i, j] += slopes[i] * slopes[j] / values.Length;
                system[i, 3] += slopes[i] * (1 - moved) / values.Length;
            }
        }

        for (int i = 0; i < 3; i++)
            system[i, i] += damping;
        return Solve(system);
    }

    private static (double Moved, double[] Slopes) Slopes(double[] coefficients, double x)
    {
        double[] slopes = new double[3];
        for (int step = 0; step < Steps; step++)
        {
            double square = x * x;
            double inner = coefficients[0] + (square * ((3 * coefficients[1]) + (5 * square * coefficients[2])));
            slopes[0] = x + (inner * slopes[0]);
            slopes[1] = (x * square) + (inner * slopes[1]);
            slopes[2] = (x * square * square) + (inner * slopes[2]);
            x = Polynomial(coefficients, x);
        }

        return (x, slopes);
    }

    /// <summary>Solves a positive definite system of three equations, whose last column is the right side.</summary>
    private static double[] Solve(double[,] system)
    {
        for (int pivot = 0; pivot < 3; pivot++)
        {
            for (int row = pivot + 1; row < 3; row++)
            {
                double factor = system[row, pivot] / system[pivot, pivot];
                for (int column = pivot; column < 4; column++)
                    system[row, column] -= factor * system[pivot, column];
            }
        }

        double[] solution = new double[3];
        for (int row = 2; row >= 0; row--)
        {
            double sum = system[row, 3];
            for (int column = row + 1; column < 3; column++)
                sum -= system[row, column] * solution[column];
            solution[row] = sum / system[row, row];
        }

        return solution;
    }
}
