namespace Spectral.Training.Tokenization;

/// <summary>The encoding of one text: what one thread needs for it, and the ids that come of it.</summary>
internal sealed class EncodingRun(GrowthBudget budget, BpeMerger merger, List<int> ids, bool goesOn = false)
{
    public GrowthBudget Budget { get; } = budget;

    public BpeMerger Merger { get; } = merger;

    public List<int> Ids { get; } = ids;

    /// <summary>Whether the text goes on where another one ended: nothing is put before its beginning.</summary>
    public bool GoesOn { get; } = goesOn;
}
