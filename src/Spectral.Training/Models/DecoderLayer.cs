namespace Spectral.Training;

/// <summary>One block of the Llama family: attention and gated MLP, each behind an RMSNorm and with a residual.</summary>
internal sealed class DecoderLayer
{
    public required Parameter InputNorm { get; init; }
    public required Parameter PostAttentionNorm { get; init; }
    public required Linear Query { get; init; }
    public required Linear Key { get; init; }
    public required Linear Value { get; init; }
    public required Linear Output { get; init; }
    public required Linear Gate { get; init; }
    public required Linear Up { get; init; }
    public required Linear Down { get; init; }
    public required float Epsilon { get; init; }

    /// <summary>In the order of the checkpoint.</summary>
    public IEnumerable<Linear> Linears => [Query, Key, Value, Output, Gate, Up, Down];

    public bool Trains => InputNorm.Trains || PostAttentionNorm.Trains || Linears.Any(linear => linear.Trains);

    /// <summary>x [N, D] → [N, D]. Decoding one position per row goes through the cache alone.</summary>
    public Variable Forward(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache = null)
    {
        using var attended = Attend(tape, x, settings, cache);
        using var normed = RmsNormNode.Apply(tape, attended, PostAttentionNorm, Epsilon);
        using var gate = LinearNode.Apply(tape, normed, Gate);
        using var up = LinearNode.Apply(tape, normed, Up);
        using var gated = SwiGluNode.Apply(tape, gate, up);
        using var down = LinearNode.Apply(tape, gated, Down);
        return AddNode.Apply(tape, attended, down);
    }

    private Variable Attend(Tape tape, Variable x, in AttentionSettings settings, LayerCache? cache)
    {
        using var normed = RmsNormNode.Apply(tape, x, InputNorm, Epsilon);
        using var q = LinearNode.Apply(tape, normed, Query);
        using var k = LinearNode.Apply(tape, normed, Key);
        using var v = LinearNode.Apply(tape, normed, Value);
        using var mixed = cache is not null && settings.Length == 1
            ? cache.Attend(settings, q, k, v)
            : AttentionNode.Apply(tape, settings, q, k, v, cache);
        using var output = LinearNode.Apply(tape, mixed, Output);
        return AddNode.Apply(tape, x, output);
    }
}
