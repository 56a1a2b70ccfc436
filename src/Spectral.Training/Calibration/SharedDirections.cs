using Spectral.Training.Distributed;

namespace Spectral.Training.Calibration;

/// <summary>Hands the input directions that one rank found to all ranks, bit for bit.</summary>
internal static class SharedDirections
{
    /// <summary>Returns the directions of the rank that has some. All ranks call this at the same point.</summary>
    /// <param name="ranks">The ranks.</param>
    /// <param name="own">What this rank found; null: another one did.</param>
    /// <param name="features">The number of input features.</param>
    public static InputDirections Of(RankGroup ranks, InputDirections? own, int features)
    {
        if (ranks.Count == 1)
            return own!;
        // F64 holds F32 and counts exactly, and a sum with zeros changes nothing.
        Span<double> facts = [own?.Count ?? 0, own is { Converged: true } ? 1 : 0];
        ranks.Sum(facts);
        int count = (int)facts[0];
        double[] all = new double[count * (features + 2)];
        if (own is not null)
        {
            for (int i = 0; i < own.Vectors.Length; i++)
                all[i] = own.Vectors[i];
            for (int i = 0; i < count; i++)
                all[count * features + i] = own.SingularValues[i];
            own.ExplainedVariance.CopyTo(all, count * (features + 1));
        }

        ranks.Sum(all);
        return new InputDirections(
            features,
            Array.ConvertAll(all[..(count * features)], value => (float)value),
            Array.ConvertAll(all[(count * features)..(count * (features + 1))], value => (float)value),
            all[(count * (features + 1))..],
            facts[1] > 0
        );
    }
}
