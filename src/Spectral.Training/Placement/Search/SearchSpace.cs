using Spectral.Training.Numerics;

namespace Spectral.Training.Placement.Search;

/// <summary>All configurations of some adapter methods, ranks and decoder layers.</summary>
internal sealed class SearchSpace(IReadOnlyList<string> adapters, IReadOnlyList<int> ranks, int depth)
{
    private const int AttemptsForEach = 1000;

    /// <summary>
    /// Draws distinct configurations. A longer list begins with the shorter ones of the same seed. It is shorter than
    /// asked for once the space is exhausted.
    /// </summary>
    /// <param name="count">How many to draw.</param>
    /// <param name="seed">The seed.</param>
    public IReadOnlyList<Candidate> Draw(int count, ulong seed)
    {
        List<Candidate> drawn = [];
        HashSet<string> known = [];
        ulong stream = RandomStream.For($"placement search {seed}");
        ulong index = 0;
        for (long attempt = 0; drawn.Count < count && attempt < (long)AttemptsForEach * count; attempt++)
        {
            string adapter = adapters[Choice(adapters.Count)];
            int rank = ranks[Choice(ranks.Count)];
            // With one share for all layers, sets of every size are as likely; with ½ nearly all would be half of them.
            double share = Next();
            int[] layers = [.. Enumerable.Range(0, depth).Where(_ => Next() < share)];
            var candidate = new Candidate(adapter, rank, layers);
            if (layers.Length > 0 && known.Add(candidate.ToString()))
                drawn.Add(candidate);
        }
        return drawn;

        double Next() => SplitMix64.Uniform(stream, index++);

        int Choice(int of) => (int)(Next() * of);
    }
}
