namespace Spectral.Training.Objectives;

/// <summary>The logistic function σ(x) = 1 / (1 + e⁻ˣ) and its logarithm, for every x.</summary>
internal static class Logistic
{
    /// <summary>Returns the logistic function of x, σ(x) = 1 / (1 + e⁻ˣ).</summary>
    public static double Of(double x) => x >= 0 ? 1 / (1 + Math.Exp(-x)) : Math.Exp(x) / (1 + Math.Exp(x));

    /// <summary>Returns −log σ(x), whose derivative is −σ(−x).</summary>
    public static double NegativeLog(double x) => Math.Max(-x, 0) + Math.Log(1 + Math.Exp(-Math.Abs(x)));
}
