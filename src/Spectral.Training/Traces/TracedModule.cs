namespace Spectral.Training.Traces;

/// <summary>
/// A rank-1 module, which adds h·b to the output of its layer, and the distribution of its scalar h over all tokens.
/// </summary>
/// <param name="Name">The name of the layer.</param>
/// <param name="OutputNorm">The norm of b [out], with the adapter's scale: |h| times it is the length of what is added.
/// </param>
/// <param name="Mean">The mean of h.</param>
/// <param name="StandardDeviation">The standard deviation of h, as a population.</param>
/// <param name="MeanMagnitude">The mean of |h|.</param>
/// <param name="Largest">The largest value of |h|.</param>
/// <param name="Top">The tokens with the largest |h|, descending.</param>
public sealed record TracedModule(
    string Name,
    double OutputNorm,
    double Mean,
    double StandardDeviation,
    double MeanMagnitude,
    double Largest,
    IReadOnlyList<TracedToken> Top
);
