namespace Spectral.Training.Spectra;

/// <summary>How many matrices a claim holds for, does not hold for, and cannot be judged for.</summary>
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
