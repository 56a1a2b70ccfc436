using Spectral.Training.Data;
using Spectral.Training.Objectives;

namespace Spectral.Training.Tests.Objectives;

/// <summary>
/// The losses as docs/preference.md has them, in double, from log-probabilities of whole
/// sequences: means over pairs.
/// </summary>
/// <param name="name">The loss.</param>
/// <param name="pairs">The pairs of a step.</param>
/// <param name="beta">β of dpo and kto.</param>
/// <param name="ofBase">The log-probability of a record under the base.</param>
internal sealed class ReferencePairs(
    string name,
    EncodedRecord[] pairs,
    double beta,
    Func<EncodedRecord, double> ofBase
)
{
    private readonly Dictionary<EncodedRecord, double> _ofBase = [];

    /// <summary>KTO's KL: what prompts gain on the answer of the side before.</summary>
    public double Divergence(Func<EncodedRecord, double> logProbability)
    {
        if (name != "kto")
            return 0;
        EncodedRecord[] sides = [.. pairs, .. pairs.Select(pair => pair.Rejected!)];
        double sum = 0;
        for (int i = 0; i < sides.Length; i++)
        {
            EncodedRecord before = sides[i == 0 ? sides.Length - 1 : i - 1];
            int[] prompt = sides[i].Tokens[..sides[i].PromptLength];
            EncodedRecord joined = new(
                [.. prompt, .. before.Tokens[before.PromptLength..]],
                prompt.Length,
                prompt.Length,
                false
            );
            sum += logProbability(joined) - ofBase(joined);
        }
        return Math.Max(0, sum / sides.Length);
    }

    /// <summary>The loss and the scores.</summary>
    public (double Loss, PairScores Scores) Of(Func<EncodedRecord, double> logProbability, double divergence)
    {
        double loss = 0;
        (double chosenRewards, double rejectedRewards, double right) = (0, 0, 0);
        foreach (EncodedRecord pair in pairs)
        {
            EncodedRecord other = pair.Rejected!;
            double chosen = logProbability(pair);
            double rejected = logProbability(other);
            double own = name switch
            {
                "dpo" => -Math.Log(Sigma(beta * (Gain(pair, chosen) - Gain(other, rejected)))),
                "simpo" => -Math.Log(Sigma(2 * (chosen / pair.LossTokens - rejected / other.LossTokens) - 0.5)),
                "orpo" => -chosen / pair.LossTokens
                    - 0.1
                        * Math.Log(
                            Sigma(
                                Logit(Math.Exp(chosen / pair.LossTokens)) - Logit(Math.Exp(rejected / other.LossTokens))
                            )
                        ),
                _ => (
                    1
                    - Sigma(beta * (Gain(pair, chosen) - divergence))
                    + 1
                    - Sigma(beta * (divergence - Gain(other, rejected)))
                ) / 2,
            };
            loss += own;
            (double reward, double otherReward) = name switch
            {
                "simpo" => (2 * chosen / pair.LossTokens, 2 * rejected / other.LossTokens),
                "orpo" => (0.1 * chosen / pair.LossTokens, 0.1 * rejected / other.LossTokens),
                _ => (beta * Gain(pair, chosen), beta * Gain(other, rejected)),
            };
            chosenRewards += reward;
            rejectedRewards += otherReward;
            right += reward > otherReward ? 1 : 0;
        }
        int count = pairs.Length;
        return (loss / count, new PairScores(chosenRewards / count, rejectedRewards / count, right / count));
    }

    private static double Sigma(double x) => 1 / (1 + Math.Exp(-x));

    private static double Logit(double p) => Math.Log(p / (1 - p));

    private double Gain(EncodedRecord record, double logProbability)
    {
        if (!_ofBase.TryGetValue(record, out double untrained))
            _ofBase[record] = untrained = ofBase(record);
        return logProbability - untrained;
    }
}
