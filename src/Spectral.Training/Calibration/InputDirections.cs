namespace Spectral.Training.Calibration;

/// <summary>The leading principal components of a layer's inputs, centred on their mean.</summary>
/// <param name="Features">in.</param>
/// <param name="Vectors">[k · in]: orthonormal rows, of descending singular value.</param>
/// <param name="SingularValues">[k], of the centred inputs.</param>
/// <param name="ExplainedVariance">[k]: each one's share σ²/Σσ² of the inputs' variance, all components
/// counted.</param>
/// <param name="Converged">Whether the last batch seen left every vector where it was; otherwise the data ran out
/// first.</param>
public sealed record InputDirections(
    int Features,
    float[] Vectors,
    float[] SingularValues,
    double[] ExplainedVariance,
    bool Converged
)
{
    /// <summary>k.</summary>
    public int Count => SingularValues.Length;
}
