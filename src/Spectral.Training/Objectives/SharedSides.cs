using System.Globalization;
using Spectral.Training.Data;
using Spectral.Training.Distributed;

namespace Spectral.Training.Objectives;

/// <summary>Tells all ranks the pairs of a step, of which each has a part of every micro-batch.</summary>
internal static class SharedSides
{
    /// <summary>The length of a side that a pair does not have.</summary>
    private const int None = -1;

    /// <summary>Returns the sides of all pairs of a step, in the order in which one process has them.</summary>
    /// <param name="batches">The pairs of each micro-batch on this rank; as many micro-batches on all.</param>
    /// <param name="ranks">The ranks, with consecutive parts of every micro-batch.</param>
    /// <returns>The chosen sides, then the rejected ones, with their tokens and prompts alone.</returns>
    public static IReadOnlyList<EncodedRecord> Of(IReadOnlyList<IReadOnlyList<EncodedRecord>> batches, RankGroup ranks)
    {
        if (ranks.Count == 1)
            return [.. Batch.Sides([.. batches.SelectMany(pairs => pairs)])];
        Queue<int>[] numbers =
        [
            .. ranks
                .Gather(string.Join(' ', batches.SelectMany(Numbers)))
                .Select(text => text.Split(' ').Select(number => int.Parse(number, CultureInfo.InvariantCulture)))
                .Select(all => new Queue<int>(all)),
        ];
        (List<EncodedRecord> chosen, List<EncodedRecord> rejected) = ([], []);
        for (int batch = 0; batch < batches.Count; batch++)
        {
            foreach (Queue<int> rank in numbers)
            {
                for (int left = rank.Dequeue(); left > 0; left--)
                {
                    Read(rank, chosen);
                    Read(rank, rejected);
                }
            }
        }

        return [.. chosen, .. rejected];
    }

    private static IEnumerable<int> Numbers(IReadOnlyList<EncodedRecord> pairs) =>
        pairs.SelectMany(pair => Numbers(pair.ChosenSide).Concat(Numbers(pair.RejectedSide))).Prepend(pairs.Count);

    private static IEnumerable<int> Numbers(EncodedRecord? side) =>
        side is null ? [None] : side.Tokens.Prepend(side.PromptLength).Prepend(side.Tokens.Length);

    private static void Read(Queue<int> numbers, List<EncodedRecord> sides)
    {
        if (numbers.Dequeue() is not None and var length)
        {
            int prompt = numbers.Dequeue();
            int[] tokens = [.. Enumerable.Range(0, length).Select(_ => numbers.Dequeue())];
            sides.Add(new EncodedRecord(tokens, prompt, prompt, Cut: false));
        }
    }
}
