namespace Spectral.Training.Forgetting;

/// <summary>A law of forgetting, fitted to the checkpoints of a run by least squares.</summary>
/// <param name="Name">The quantity that the law is in: steps, update or task.</param>
/// <param name="Formula">The law, with F the forgetting and x the quantity.</param>
/// <param name="Parameters">The parameters in the order of the formula.</param>
/// <param name="Residual">The root mean square of the residuals.</param>
/// <param name="Determination">
/// R², the share of the variance of F that the law explains; NaN if F does not vary.
/// </param>
/// <param name="Points">The number of checkpoints that the law was fitted to.</param>
/// <param name="IsDetermined">
/// Whether the best exponent lies inside the searched range. If it does not, the points do not determine it, and
/// intervals mean nothing.
/// </param>
public sealed record FittedLaw(
    string Name,
    string Formula,
    IReadOnlyList<FittedParameter> Parameters,
    double Residual,
    double Determination,
    int Points,
    bool IsDetermined
)
{
    /// <summary>Computes F by the law.</summary>
    /// <param name="x">The steps, the relative size of the update or the loss on the task; above 0.</param>
    public double At(double x)
    {
        double[] values = [.. Parameters.Select(parameter => parameter.Value)];
        return Name switch
        {
            LawFit.Steps => values[0] - (values[1] * Math.Pow(x, -values[2])),
            LawFit.Update => values[0] * Math.Pow(x, values[1]),
            _ => values[0] - (values[1] * x),
        };
    }
}
