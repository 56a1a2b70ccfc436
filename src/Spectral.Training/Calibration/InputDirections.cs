namespace Spectral.Training.Calibration;

/// <summary>The leading principal components of a layer's inputs, which are centred on their mean.</summary>
/// <param name="Features">The number of input features, in.</param>
/// <param name="Vectors">The components, [k · in]: orthonormal rows by descending singular value.</param>
/// <param name="SingularValues">The singular values of the centred inputs, [k].</param>
/// <param name="ExplainedVariance">
/// The share σ²/Σσ² of each component in the variance of the inputs, where the sum is over all components; [k].
/// </param>
/// <param name="Converged">
/// Whether the last batch changed no component noticeably. Otherwise the data ended first.
/// </param>
public sealed record InputDirections(
    int Features,
    float[] Vectors,
    float[] SingularValues,
    double[] ExplainedVariance,
    bool Converged
)
{
    /// <summary>The number k of components.</summary>
    public int Count => SingularValues.Length;
}
