using Spectral.Training.Data;

namespace Spectral.Training.Objectives;

/// <summary>
/// Joins prompts with answers to other prompts, on which KTO measures how far a model has gone from its base.
/// </summary>
internal static class MismatchedPairs
{
    /// <summary>
    /// Gives each prompt the answer of the side before it; the first takes the last one's.
    /// </summary>
    /// <param name="sides">The chosen sides of a step's pairs, then the rejected ones.</param>
    /// <param name="rows">The number of rows of a batch.</param>
    /// <param name="longest">The most tokens of a row, which loses those on the left beyond it.</param>
    public static Batch[] Of(IReadOnlyList<EncodedRecord> sides, int rows, int longest) =>
        [
            .. sides
                .Select((side, i) => Join(side, sides[(i + sides.Count - 1) % sides.Count], longest))
                .Chunk(rows)
                .Select(part => Batch.Create(part)),
        ];

    private static EncodedRecord Join(EncodedRecord side, EncodedRecord before, int longest)
    {
        int[] tokens = [.. side.Tokens.AsSpan(0, side.PromptLength), .. before.Tokens.AsSpan(before.PromptLength)];
        int excess = Math.Max(0, tokens.Length - longest);
        int prompt = Math.Max(0, side.PromptLength - excess);
        return new EncodedRecord(tokens[excess..], prompt, Math.Max(1, prompt), excess > 0);
    }
}
