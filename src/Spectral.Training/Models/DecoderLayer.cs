using Spectral.Training.Autograd;
using Spectral.Training.Optim;

namespace Spectral.Training.Models;

/// <summary>One block of the Llama family: attention and gated MLP, each behind an RMSNorm and with a residual.</summary>
internal sealed class DecoderLayer
{
    public required Parameter InputNorm { get; init; }
    public required Parameter PostAttentionNorm { get; init; }

    /// <summary>q, k and v.</summary>
    public required SiblingLinears Projections { get; init; }

    public required Linear Output { get; init; }

    /// <summary>Gate and up.</summary>
    public required SiblingLinears Gates { get; init; }

    public required Linear Down { get; init; }
    public required float Epsilon { get; init; }

    /// <summary>In the order of the checkpoint.</summary>
    public IEnumerable<Linear> Linears => [.. Projections.Layers, Output, .. Gates.Layers, Down];

    /// <summary>Whether backward has to reach this block, even if nothing below it trains.</summary>
    public bool NeedsBackward =>
        InputNorm.Trains || PostAttentionNorm.Trains || Linears.Any(linear => linear.Siblings.NeedsBackward);

    /// <summary>x [N, D] → [N, D]. Decoding one position per row goes through the cache alone.</summary>
    public Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null)
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
        using Variable mixed =
            cache is not null && settings.Length == 1
                ? cache.Attend(settings, q, k, v)
                : AttentionNode.Apply(tape, settings, q, k, v, cache, InputStride(Output.Siblings, cache));
        using Variable output = LinearNode.Apply(tape, mixed, Output);
        return AddNode.Apply(tape, x, output);
    }

    /// <summary>Elements of a row of the input of sibling layers. With a cache rows are few and their operations many: nothing is laid out for one product then.</summary>
    private static int InputStride(SiblingLinears siblings, LayerCache? cache) =>
        cache is null ? siblings.InputStride : siblings.Layers[0].In;
}
