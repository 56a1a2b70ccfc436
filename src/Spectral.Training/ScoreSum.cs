using Spectral.Training.Data;
using Spectral.Training.Metrics;

namespace Spectral.Training;

/// <summary>The scores of records, which are added up one by one.</summary>
internal sealed class ScoreSum
{
    /// <summary>The number of sums.</summary>
    public const int Count = 7;

    private double _loss;
    private long _tokens;
    private long _matches;
    private long _candidates;
    private long _questions;
    private long _right;
    private long _rightByCharacter;

    /// <summary>The number of records that were added.</summary>
    public int Records { get; private set; }

    /// <summary>
    /// The sums of losses, of tokens, of matches and of records that can match; of questions, and of those that are
    /// answered right by the likelihood of a choice and by that per character.
    /// </summary>
    public double[] Values => [_loss, _tokens, _matches, _candidates, _questions, _right, _rightByCharacter];

    /// <summary>Returns the means of sums in the order of <see cref="Values"/>.</summary>
    public static EvaluationResult ResultOf(ReadOnlySpan<double> values, int records) =>
        new(
            values[1] == 0 ? 0 : values[0] / values[1],
            (long)values[1],
            values[3] == 0 ? null : values[2] / values[3],
            records
        )
        {
            Metrics =
                values[4] == 0
                    ? null
                    :
                    [
                        new MetricValue("accuracy", values[5] / values[4]),
                        new MetricValue("accuracy_by_character", values[6] / values[4]),
                    ],
        };

    /// <summary>Adds a question: whether it is answered right by likelihood, and by that per character.</summary>
    public void AddChoice(bool isRight, bool isRightByCharacter)
    {
        _questions++;
        _right += isRight ? 1 : 0;
        _rightByCharacter += isRightByCharacter ? 1 : 0;
    }

    /// <summary>Adds a record of a batch.</summary>
    /// <param name="record">The record.</param>
    /// <param name="targets">The targets from its first position on.</param>
    /// <param name="losses">The losses of the batch.</param>
    /// <param name="predictions">The most probable tokens of the batch; null: matches are not counted.</param>
    /// <param name="next">The place of its first loss among those of the batch; moved behind its last.</param>
    public void Add(EncodedRecord record, ReadOnlySpan<int> targets, float[] losses, int[]? predictions, ref int next)
    {
        bool match = true;
        for (int at = 1; at < record.Tokens.Length; at++)
        {
            if (targets[at - 1] < 0)
                continue;
            _loss += losses[next];
            _tokens++;
            match &=
                predictions is null
                || predictions[next] == targets[at - 1]
                || at < record.LastTurn.From
                || at >= record.LastTurn.End;
            next++;
        }

        Records++;
        if (predictions is null || !record.HasCompletion)
            return;
        _candidates++;
        _matches += match ? 1 : 0;
    }
}
