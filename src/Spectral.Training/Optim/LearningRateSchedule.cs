namespace Spectral.Training.Optim;

/// <summary>The learning rates of a run of <paramref name="Steps"/> optimizer steps.</summary>
/// <param name="Kind">The shape after warm-up.</param>
/// <param name="Rate">The base rate, reached at the end of warm-up.</param>
/// <param name="Steps">The number of steps of the whole run, N.</param>
/// <param name="Warmup">The number of steps of linear warm-up, w.</param>
public sealed record LearningRateSchedule(ScheduleKind Kind, double Rate, int Steps, int Warmup = 0)
{
    /// <summary>
    /// Returns the rate of step t = 1…N. It is t/w of the base rate for t ≤ w, and then, with p = (t−w−1)/(N−w), the
    /// fraction 1, 1−p or (1+cos πp)/2 of it.
    /// </summary>
    /// <param name="step">The step t, 1 to N.</param>
    public double At(int step)
    {
        if (step <= Warmup)
            return Rate * step / Warmup;
        double p = (step - Warmup - 1) / (double)(Steps - Warmup);
        return Rate
            * Kind switch
            {
                ScheduleKind.Linear => 1 - p,
                ScheduleKind.Cosine => (1 + Math.Cos(Math.PI * p)) / 2,
                _ => 1,
            };
    }
}
