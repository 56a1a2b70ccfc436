using Spectral.Training.Autograd;
using Spectral.Training.Optim;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The block of Llama (Touvron et al., 2023): attention and a gated MLP, each after an RMSNorm and with a residual.
/// </summary>
internal sealed class LlamaLayer : DecoderLayer
{
    public required Parameter InputNorm { get; init; }
    public required Parameter PostAttentionNorm { get; init; }

    /// <summary>The projections q, k and v, in this order.</summary>
    public required SiblingLinears Projections { get; init; }

    public required Linear Output { get; init; }

    /// <summary>The gate and up projections of the MLP, in this order.</summary>
    public required SiblingLinears Gates { get; init; }

    public required Linear Down { get; init; }
    public required float Epsilon { get; init; }

    /// <inheritdoc/>
    public override IReadOnlyList<Linear> Linears => [.. Projections.Layers, Output, .. Gates.Layers, Down];

    /// <inheritdoc/>
    public override bool NeedsBackward =>
        InputNorm.Trains || PostAttentionNorm.Trains || Linears.Any(linear => linear.Siblings.NeedsBackward);

    /// <inheritdoc/>
    public override Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null)
    {
        using Variable attended = Attend(tape, x, settings, cache);
        using Variable normed = RmsNormNode.Apply(
            tape,
            attended,
            PostAttentionNorm,
            Epsilon,
            InputStride(Gates, cache)
        );
        Variable[] gates = LinearNode.Apply(tape, normed, Gates);
        using Variable gate = gates[0];
        using Variable up = gates[1];
        using Variable gated = SwiGluNode.Apply(tape, gate, up, InputStride(Down.Siblings, cache));
        using Variable down = LinearNode.Apply(tape, gated, Down);
        return AddNode.Apply(tape, attended, down);
    }

    private Variable Attend(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache)
    {
        using Variable normed = RmsNormNode.Apply(tape, x, InputNorm, Epsilon, InputStride(Projections, cache));
        Variable[] projections = LinearNode.Apply(tape, normed, Projections);
        using Variable q = projections[0];
        using Variable k = projections[1];
        using Variable v = projections[2];
        using Variable mixed = (cache, settings) switch
        {
            ({ } decoding, { Length: 1 }) => decoding.Attend(settings, q, k, v),
            (_, { Prefix: { } prefix }) => prefix.Attend(tape, settings, q, k, v, cache),
            _ => AttentionNode.Apply(tape, settings, q, k, v, cache, InputStride(Output.Siblings, cache)),
        };
        using Variable output = LinearNode.Apply(tape, mixed, Output);
        return AddNode.Apply(tape, x, output);
    }
}
