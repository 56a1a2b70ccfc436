using Spectral.Training.Autograd;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The block of GPT-J (Wang and Komatsuzaki, 2021): attention and a feed-forward layer read the same norm, and both
/// are added to the residual stream.
/// </summary>
internal sealed class ParallelLayer : DecoderLayer
{
    private readonly SiblingLinears _readers;

    /// <summary>Joins the layers that read the norm, so that one pass over its output can serve all of them.</summary>
    public ParallelLayer(Norm norm, AttentionBlock attention, ProjectedBlock feedForward)
    {
        (Norm, Attention, FeedForward) = (norm, attention, feedForward);
        _readers = Projections.Join(attention.Projections, feedForward.Inputs);
    }

    public Norm Norm { get; }
    public AttentionBlock Attention { get; }
    public ProjectedBlock FeedForward { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => [.. Attention.Linears, .. FeedForward.Linears];

    /// <inheritdoc/>
    public override bool NeedsBackward => Norm.Trains || Attention.NeedsBackward || FeedForward.NeedsBackward;

    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null)
    {
        using Variable normed = Norm.Apply(tape, x, _readers.StrideFor(cache));
        Variable[] outputs = LinearNode.Apply(tape, normed, _readers);
        int first = Attention.Projections.Layers.Count;
        using Variable attended = Attention.Attend(
            tape,
            Attention.Projections.Values(tape, outputs[..first]),
            settings,
            cache
        );
        using Variable fed = FeedForward.Feed(tape, FeedForward.Inputs.Values(tape, outputs[first..]), cache);
        using Variable added = AddNode.Apply(tape, x, attended);
        return AddNode.Apply(tape, added, fed);
    }
}
