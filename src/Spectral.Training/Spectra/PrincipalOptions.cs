using Spectral.Training.IO;

namespace Spectral.Training.Spectra;

/// <summary>Says how much of each update is its principal part.</summary>
public sealed record PrincipalOptions
{
    /// <summary>The number of leading triplets of Δ that are kept; null: as <see cref="Energy"/> says.</summary>
    public int? Rank { get; init; }

    /// <summary>The share of ‖Δ‖_F² that the leading triplets kept hold at least.</summary>
    public double Energy { get; init; } = 0.9;

    /// <exception cref="InputException">A setting is out of range.</exception>
    internal void Validate()
    {
        if (Rank < 1)
            throw new InputException($"the rank of the principal part is {Rank}; expected at least 1");
        if (Energy is not (> 0 and <= 1))
        {
            throw new InputException(
                $"the energy of the principal part is {Energy}; expected a number above 0, up to 1"
            );
        }
    }
}
