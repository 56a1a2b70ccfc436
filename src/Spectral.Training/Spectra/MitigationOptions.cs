using Spectral.Training.IO;

namespace Spectral.Training.Spectra;

/// <summary>
/// Says which singular triplets of a tuned weight are intruder dimensions and by how much they are scaled
/// (Shuttleworth et al., arXiv 2410.21228; the defaults are those of PEFT's <c>reduce_intruder_dimension</c>).
/// </summary>
public sealed record MitigationOptions
{
    /// <summary>
    /// The factor λ on the singular value of every intruder, from 0, which removes it, to 1, which leaves it.
    /// </summary>
    public double Factor { get; init; } = 0.75;

    /// <summary>The |cos| to every left vector of the base below which a tuned left vector is an intruder.</summary>
    public double Threshold { get; init; } = 0.5;

    /// <summary>The number of leading tuned triplets among which intruders are sought.</summary>
    public int Searched { get; init; } = 10;

    /// <exception cref="InputException">A setting is out of range.</exception>
    internal void Validate()
    {
        if (Factor is not (>= 0 and <= 1))
            throw new InputException($"the factor on intruders is {Factor}; expected a number from 0 to 1");
        if (Threshold is not (> 0 and <= 1))
            throw new InputException($"the threshold of intruders is {Threshold}; expected a number above 0, up to 1");
        if (Searched < 1)
            throw new InputException($"intruders are sought among {Searched} triplets; expected at least 1");
    }
}
