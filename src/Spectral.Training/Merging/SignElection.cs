using System.Numerics;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging;

/// <summary>
/// The sign election of TIES: each entry has the sign of the sum over the inputs, where 0 counts as +, and is the sum
/// of the weighted changes of that sign, divided by their number.
/// </summary>
internal sealed class SignElection(MergeRun run)
{
    private const string Vote = "vote";

    private readonly bool _byCount = run.Chose(Vote, "count");

    /// <summary>The setting of methods that elect signs: what counts in the vote.</summary>
    public static Setting Setting { get; } =
        Setting.Choice(
            Vote,
            "Whether the inputs vote for a sign with their magnitudes, or with one vote each.",
            "magnitude",
            "count"
        );

    /// <summary>Merges one piece, without the base.</summary>
    /// <param name="piece">The piece, with changes that are already trimmed.</param>
    /// <param name="result">The merged change.</param>
    public void Merge(MergePiece piece, Span<float> result)
    {
        IReadOnlyList<double> weights = piece.Weights;
        float[][] changes = piece.Changes();
        int width = Vector<float>.Count;
        int i = 0;
        for (; i <= result.Length - width; i += width)
        {
            Vector<float> votes = Vector<float>.Zero;
            for (int input = 0; input < weights.Count; input++)
            {
                var change = new Vector<float>(changes[input], i);
                votes += _byCount ? Sign(change) : change;
            }

            Vector<float> sum = Vector<float>.Zero;
            Vector<float> count = Vector<float>.Zero;
            var positive = Vector.GreaterThanOrEqual(votes, Vector<float>.Zero);
            for (int input = 0; input < weights.Count; input++)
            {
                var change = new Vector<float>(changes[input], i);
                var agrees = Vector.ConditionalSelect(
                    Vector.ConditionalSelect(
                        positive,
                        Vector.GreaterThan(change, Vector<float>.Zero),
                        Vector.LessThan(change, Vector<float>.Zero)
                    ),
                    Vector<float>.One,
                    Vector<float>.Zero
                );
                count += agrees;
                sum += agrees * change * (float)weights[input];
            }
            (sum / Vector.Max(count, Vector<float>.One)).CopyTo(result[i..]);
        }
        for (; i < result.Length; i++)
            result[i] = One(changes, weights, i);
    }

    private float One(float[][] changes, IReadOnlyList<double> weights, int index)
    {
        float votes = 0;
        for (int input = 0; input < weights.Count; input++)
        {
            float change = changes[input][index];
            votes += _byCount ? MathF.Sign(change) : change;
        }

        float sum = 0;
        int count = 0;
        for (int input = 0; input < weights.Count; input++)
        {
            float change = changes[input][index];
            if (votes >= 0 ? change > 0 : change < 0)
                (sum, count) = (sum + (change * (float)weights[input]), count + 1);
        }
        return sum / Math.Max(1, count);
    }

    private static Vector<float> Sign(Vector<float> values) =>
        Vector.ConditionalSelect(
            Vector.GreaterThan(values, Vector<float>.Zero),
            Vector<float>.One,
            Vector.ConditionalSelect(
                Vector.LessThan(values, Vector<float>.Zero),
                -Vector<float>.One,
                Vector<float>.Zero
            )
        );
}
