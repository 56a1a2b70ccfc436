namespace Spectral.Training;

/// <summary>The encoding of one text: what one thread needs for it, and the ids that come of it.</summary>
internal sealed class EncodingRun(GrowthBudget budget, BpeMerger merger, List<int> ids)
{
    public GrowthBudget Budget { get; } = budget;

    public BpeMerger Merger { get; } = merger;

    public List<int> Ids { get; } = ids;
}
