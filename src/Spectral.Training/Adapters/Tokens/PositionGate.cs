using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// The gate of chosen positions: 1 for the first and the last tokens of each prompt, and 0 for others.
/// </summary>
/// <param name="first">The number of tokens at the beginning of a prompt.</param>
/// <param name="last">The number of tokens at its end.</param>
internal sealed class PositionGate(int first, int last) : Gates
{
    /// <inheritdoc/>
    public override int Experts => 1;

    /// <inheritdoc/>
    public override Variable Apply(in TokenPass pass, Variable x) =>
        new(pass.Rows.Shared((first, last), 1, OfRecord, continues: false).Share());

    private float[] OfRecord(ReadOnlySpan<int> tokens, int prompt)
    {
        float[] gates = new float[tokens.Length];
        gates.AsSpan(0, Math.Min(first, prompt)).Fill(1);
        gates.AsSpan(Math.Max(0, prompt - last)..prompt).Fill(1);
        return gates;
    }
}
