namespace Spectral.Training.Tokenization;

/// <summary>The state of encoding one text in one thread, including the resulting ids.</summary>
internal sealed class EncodingRun(GrowthBudget budget, BpeMerger? merger, List<int> ids, bool goesOn = false)
{
    public GrowthBudget Budget { get; } = budget;

    public BpeMerger? Merger { get; } = merger;

    public List<int> Ids { get; } = ids;

    /// <summary>Whether the text continues another one, so that nothing is put before its beginning.</summary>
    public bool GoesOn { get; } = goesOn;
}
