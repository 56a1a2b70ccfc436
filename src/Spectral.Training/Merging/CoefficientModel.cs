namespace Spectral.Training.Merging;

/// <summary>
/// The model θ0 + Σ λ_i,t τ_i,t on the device while a method learns its coefficients λ, one for every input i and
/// tensor t.
/// </summary>
internal abstract class CoefficientModel : IDisposable
{
    /// <summary>
    /// Returns whether all that the inputs change is linear weights, by low-rank terms: then the coefficients'
    /// gradients take no dense ones.
    /// </summary>
    public static bool IsLowRank(MergeRun run) =>
        run.Merged.Count > 0 && run.Merged.All(name => run.Place(name).IsLinear && run.Ranks(name) is not null);

    /// <summary>Loads the base onto the device, and the inputs if they are low-rank terms.</summary>
    public static CoefficientModel Of(MergeRun run) =>
        IsLowRank(run) ? new LowRankCoefficients(run) : new DenseCoefficients(run);

    /// <summary>
    /// Returns the derivatives of the loss on the next batches by the coefficients of each tensor that is merged.
    /// </summary>
    /// <param name="coefficients">The coefficients of each tensor, one for each input; all 0 in the first call.</param>
    /// <exception cref="IO.InputException">The loss is not finite.</exception>
    public abstract IReadOnlyDictionary<string, float[]> Slopes(IReadOnlyDictionary<string, float[]> coefficients);

    public abstract void Dispose();
}
