using Spectral.Training.Data;

namespace Spectral.Training.Objectives;

/// <summary>The log-probabilities of the rows of a batch: sums over the tokens that carry loss.</summary>
/// <param name="Values">The sum of each row.</param>
/// <param name="Tokens">The number of tokens that each row's sum is over.</param>
internal sealed record RowSums(IReadOnlyList<double> Values, IReadOnlyList<int> Tokens)
{
    /// <summary>Adds up token losses, −log p, in F64.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="losses">The losses of the tokens in the order of their positions, and any after them.</param>
    public static RowSums Of(Batch batch, ReadOnlySpan<float> losses)
    {
        double[] values = new double[batch.Rows];
        int[] tokens = new int[batch.Rows];
        int next = 0;
        for (int at = 0; at < batch.Targets.Length; at++)
        {
            if (batch.Targets[at] < 0)
                continue;
            int row = at / batch.Length;
            values[row] -= losses[next++];
            tokens[row]++;
        }
        return new RowSums(values, tokens);
    }
}
