namespace Spectral.Training.Spectra;

/// <summary>The numbers of matrices for which a claim holds, does not hold, and is undecided.</summary>
public sealed record VerdictCount(int Holds, int Fails, int Unknown)
{
    internal static VerdictCount Of(IEnumerable<bool?> verdicts)
    {
        bool?[] all = [.. verdicts];
        return new VerdictCount(
            all.Count(verdict => verdict == true),
            all.Count(verdict => verdict == false),
            all.Count(verdict => verdict is null)
        );
    }
}
