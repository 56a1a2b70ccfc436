namespace Spectral.Training.Placement.Search;

/// <summary>A configuration to try: an adapter method of one rank on some decoder layers.</summary>
/// <param name="Adapter">The name of the adapter method.</param>
/// <param name="Rank">The rank.</param>
/// <param name="Layers">The numbers of the decoder layers that are adapted, ascending.</param>
internal sealed record Candidate(string Adapter, int Rank, IReadOnlyList<int> Layers)
{
    /// <summary>The configuration in words, which are the same for equal ones.</summary>
    public override string ToString() => $"{Adapter}, rank {Rank}, layers {string.Join(' ', Layers)}";
}
