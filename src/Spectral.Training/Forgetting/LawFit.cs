namespace Spectral.Training.Forgetting;

/// <summary>
/// Fits laws of forgetting by least squares. Laws are linear in all parameters but an exponent, for which the sum of
/// squares is minimised in one dimension (variable projection).
/// </summary>
public static class LawFit
{
    /// <summary>The law in the number of steps: F = s − c·N^(−β).</summary>
    internal const string Steps = "steps";

    /// <summary>The law in the size of the update: F = a·x^b.</summary>
    internal const string Update = "update";

    /// <summary>The law in the loss on the new task: F = s − c·L.</summary>
    internal const string Task = "task";

    private const double Confidence = 0.95;
    private const double LeastExponent = 0.01;
    private const double LargestExponent = 8;
    private const int GridPoints = 400;

    /// <summary>
    /// Fits forgetting against steps as a shifted power law, after Kalajdzievski, "Scaling Laws for Forgetting When
    /// Fine-Tuning Large Language Models" (arXiv 2401.05605): with the number of trained parameters fixed, as in one
    /// run, F = s − c·N^(−β), which grows towards s.
    /// </summary>
    /// <returns>The law; null for fewer than three points after the start.</returns>
    public static FittedLaw? InSteps(IReadOnlyList<ForgettingPoint> points)
    {
        ForgettingPoint[] used = [.. points.Where(point => point.Step > 0)];
        return Fit(
            Steps,
            "F = s − c·N^(−β)",
            ["s", "c", "β"],
            [.. used.Select(point => (double)point.Step)],
            [.. used.Select(point => point.Forgetting)],
            (x, exponent) => [1, -Math.Pow(x, -exponent)]
        );
    }

    /// <summary>
    /// Fits forgetting against the relative size of the update as a power law, F = a·x^b. Near a minimum of the old
    /// loss b is 2, in a direction along which it falls or rises evenly b is 1.
    /// </summary>
    /// <returns>The law; null for fewer than two points with an update.</returns>
    public static FittedLaw? InUpdate(IReadOnlyList<ForgettingPoint> points)
    {
        ForgettingPoint[] used = [.. points.Where(point => point.Update > 0)];
        return Fit(
            Update,
            "F = a·(‖Δ‖/‖W‖)^b",
            ["a", "b"],
            [.. used.Select(point => point.Update)],
            [.. used.Select(point => point.Forgetting)],
            (x, exponent) => [Math.Pow(x, exponent)]
        );
    }

    /// <summary>
    /// Fits forgetting against the loss on the new task as a line, F = s − c·L, as the same paper found.
    /// </summary>
    /// <returns>The law; null for fewer than two points with such a loss.</returns>
    public static FittedLaw? InTaskLoss(IReadOnlyList<ForgettingPoint> points)
    {
        ForgettingPoint[] used = [.. points.Where(point => point.TaskLoss is not null)];
        return Fit(
            Task,
            "F = s − c·L",
            ["s", "c"],
            [.. used.Select(point => point.TaskLoss!.Value)],
            [.. used.Select(point => point.Forgetting)],
            (x, _) => [1, -x]
        );
    }

    private static FittedLaw? Fit(
        string name,
        string formula,
        string[] names,
        double[] x,
        double[] y,
        Func<double, double, double[]> basis
    )
    {
        if (x.Length < names.Length || x.Distinct().Count() < names.Length)
            return null;
        int linear = basis(x[0], 1).Length;
        bool hasExponent = linear < names.Length;
        double exponent = hasExponent ? BestExponent(x, y, basis) : 1;
        double[] coefficients = Solve(x, y, basis, exponent);
        double[] values = hasExponent ? [.. coefficients, exponent] : coefficients;
        double squares = SquaresOf(x, y, basis, exponent);
        double mean = y.Average();
        double spread = y.Sum(value => (value - mean) * (value - mean));
        bool isDetermined = !hasExponent || exponent is > LeastExponent * 1.001 and < LargestExponent * 0.999;
        double[] errors = Errors(x, basis, coefficients, exponent, hasExponent, squares);
        double quantile = x.Length > names.Length ? StudentT.TwoSided(Confidence, x.Length - names.Length) : double.NaN;
        return new FittedLaw(
            name,
            formula,
            [
                .. names.Select(
                    (parameter, i) =>
                        new FittedParameter(
                            parameter,
                            values[i],
                            errors[i],
                            values[i] - (quantile * errors[i]),
                            values[i] + (quantile * errors[i])
                        )
                ),
            ],
            Math.Sqrt(squares / x.Length),
            spread > 0 ? 1 - (squares / spread) : double.NaN,
            x.Length,
            isDetermined
        );
    }

    /// <summary>Searches a grid of exponents with equal ratios, then the best interval by golden section.</summary>
    private static double BestExponent(double[] x, double[] y, Func<double, double, double[]> basis)
    {
        double step = Math.Pow(LargestExponent / LeastExponent, 1.0 / (GridPoints - 1));
        int best = Enumerable.Range(0, GridPoints).MinBy(i => SquaresOf(x, y, basis, At(i)));
        double low = At(Math.Max(0, best - 1));
        double high = At(Math.Min(GridPoints - 1, best + 1));
        const double Golden = 0.6180339887498949;
        while (high - low > 1e-12 * high)
        {
            double left = high - (Golden * (high - low));
            double right = low + (Golden * (high - low));
            if (SquaresOf(x, y, basis, left) < SquaresOf(x, y, basis, right))
                high = right;
            else
                low = left;
        }
        return (low + high) / 2;

        double At(int i) => LeastExponent * Math.Pow(step, i);
    }

    private static double SquaresOf(double[] x, double[] y, Func<double, double, double[]> basis, double exponent)
    {
        double[] coefficients = Solve(x, y, basis, exponent);
        double sum = 0;
        for (int i = 0; i < x.Length; i++)
        {
            double residual = y[i] - Sum(basis(x[i], exponent), coefficients);
            sum += residual * residual;
        }
        return double.IsNaN(sum) ? double.PositiveInfinity : sum; // NaN would be the least of all
    }

    /// <summary>Solves the linear least squares of one or two coefficients by Gram-Schmidt.</summary>
    private static double[] Solve(double[] x, double[] y, Func<double, double, double[]> basis, double exponent)
    {
        double[][] rows = [.. x.Select(value => basis(value, exponent))];
        double[] first = [.. rows.Select(row => row[0])];
        if (rows[0].Length == 1)
            return [Sum(first, y) / Sum(first, first)];
        double[] second = [.. rows.Select(row => row[1])];
        double share = Sum(first, second) / Sum(first, first);
        double[] rest = [.. second.Select((value, i) => value - (share * first[i]))];
        double slope = Sum(rest, y) / Sum(rest, rest);
        return [(Sum(first, y) / Sum(first, first)) - (slope * share), slope];
    }

    /// <summary>Returns the standard errors: the roots of the diagonal of σ² (JᵀJ)⁻¹.</summary>
    private static double[] Errors(
        double[] x,
        Func<double, double, double[]> basis,
        double[] coefficients,
        double exponent,
        bool hasExponent,
        double squares
    )
    {
        const double Difference = 1e-5;
        int count = coefficients.Length + (hasExponent ? 1 : 0);
        if (x.Length <= count)
            return [.. Enumerable.Repeat(double.NaN, count)];
        double[][] jacobian =
        [
            .. x.Select(value =>
                hasExponent
                    ?
                    [
                        .. basis(value, exponent),
                        (
                            Sum(basis(value, exponent + Difference), coefficients)
                            - Sum(basis(value, exponent - Difference), coefficients)
                        ) / (2 * Difference),
                    ]
                    : basis(value, exponent)
            ),
        ];
        double variance = squares / (x.Length - count);
        return [.. InverseDiagonal(jacobian, count).Select(value => Math.Sqrt(variance * value))];
    }

    /// <summary>
    /// Returns the diagonal of (JᵀJ)⁻¹: for each column, 1 over the squared norm of its part outside the span of the
    /// others.
    /// </summary>
    private static IEnumerable<double> InverseDiagonal(double[][] rows, int count)
    {
        for (int column = 0; column < count; column++)
        {
            var orthogonal = new List<double[]>();
            foreach (int other in Enumerable.Range(0, count).Where(other => other != column).Append(column))
            {
                double[] rest = [.. rows.Select(row => row[other])];
                // Twice, as one pass loses digits where columns are nearly parallel.
                foreach (double[] direction in orthogonal.Concat(orthogonal).ToArray())
                {
                    double share = Sum(direction, rest) / Sum(direction, direction);
                    rest = [.. rest.Select((value, i) => value - (share * direction[i]))];
                }
                orthogonal.Add(rest);
            }
            yield return 1 / Sum(orthogonal[^1], orthogonal[^1]);
        }
    }

    private static double Sum(double[] a, double[] b) => a.Zip(b, (one, other) => one * other).Sum();
}
