namespace ManagedCudaSample;

/// <summary>Host arithmetic in F64, and the comparison of a device's results with it.</summary>
internal static class Reference
{
    /// <summary>Normalises rows of <paramref name="columns"/> by their root mean square.</summary>
    public static double[] RmsNorm(float[] x, float[] weight, int columns, double epsilon)
    {
        double[] y = new double[x.Length];
        for (int first = 0; first < x.Length; first += columns)
        {
            double squares = 0;
            for (int c = 0; c < columns; c++)
                squares += (double)x[first + c] * x[first + c];
            double inverse = 1 / Math.Sqrt(squares / columns + epsilon);
            for (int c = 0; c < columns; c++)
                y[first + c] = x[first + c] * inverse * weight[c];
        }
        return y;
    }

    /// <summary>Multiplies rows of a by rows of b, both <paramref name="depth"/> long: a bᵀ, added to y.</summary>
    public static void AddProduct(double[] y, float[] a, float[] b, int depth)
    {
        int columns = b.Length / depth;
        for (int i = 0; i < y.Length; i++)
        {
            int row = i / columns * depth;
            int column = i % columns * depth;
            for (int k = 0; k < depth; k++)
                y[i] += (double)a[row + k] * b[column + k];
        }
    }

    /// <summary>Prints the largest error as a share of the largest value, and refuses one beyond the bound.</summary>
    /// <exception cref="InvalidOperationException">The error is beyond the bound, or not a number.</exception>
    public static void Compare(string what, IEnumerable<float> found, IEnumerable<double> expected, double bound)
    {
        double[] wanted = [.. expected];
        double largest = wanted.Max(Math.Abs);
        double error = found.Zip(wanted, (a, b) => Math.Abs(a - b)).Max() / largest;
        if (!(error <= bound))
            throw new InvalidOperationException($"{what}: error {error:e1}, allowed {bound:e1}");
        Console.WriteLine($"{what, -44} error {error:e1}, allowed {bound:e1}");
    }
}
