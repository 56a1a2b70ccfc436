namespace Spectral.Kernels.Tests.Support;

/// <summary>The one comparator of kernel results with a double reference.</summary>
public static class Comparator
{
    private const double F32Epsilon = 1.0 / (1 << 23);
    private const double BF16Epsilon = 1.0 / (1 << 8);

    /// <summary>
    /// NaN and infinity are decided first. Then every element must lie within <c>ε(type)·|expected| +
    /// factor·4·ε(F32)·√n·magnitude</c>: one rounding of the result, and the random walk of F32 rounding errors over a
    /// reduction of n terms whose absolute values add up to the magnitude (|expected| unless given).
    /// </summary>
    /// <param name="actual">The kernel's values.</param>
    /// <param name="expected">The reference.</param>
    /// <param name="type">Type the result was rounded to.</param>
    /// <param name="magnitude">Per element, the sum of the absolute values of the terms.</param>
    /// <param name="reductionLength">Number of terms n.</param>
    /// <param name="what">Named in the message.</param>
    /// <param name="factor">For functions whose own error is larger; say why on the line that sets it.</param>
    public static void Verify(
        double[] actual,
        double[] expected,
        DType type,
        double[]? magnitude,
        int reductionLength,
        string what,
        double factor = 1
    )
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length), $"{what}: number of elements");
        double rounding = type == DType.BF16 ? BF16Epsilon : F32Epsilon;
        double worst = 0;
        int worstAt = -1;
        for (int i = 0; i < actual.Length; i++)
        {
            if (!double.IsFinite(expected[i]))
            {
                Assert.That(actual[i], Is.EqualTo(expected[i]), $"{what}[{i}]");
                continue;
            }
            if (!double.IsFinite(actual[i]))
                Assert.Fail($"{what}[{i}] is {actual[i]}, expected {expected[i]}");
            double size = Math.Abs(expected[i]);
            double terms = magnitude?[i] ?? size;
            double bound = rounding * size + factor * 4 * F32Epsilon * Math.Sqrt(reductionLength) * terms + 1e-38;
            double share = Math.Abs(actual[i] - expected[i]) / bound;
            if (share > worst)
                (worst, worstAt) = (share, i);
        }
        if (!(worst <= 1))
        {
            Assert.Fail(
                $"{what}[{worstAt}] is {actual[worstAt]}, expected {expected[worstAt]}: {worst:P0} of the bound"
            );
        }
    }
}
