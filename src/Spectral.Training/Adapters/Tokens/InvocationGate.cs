using Spectral.Training.Autograd;

namespace Spectral.Training.Adapters.Tokens;

/// <summary>
/// The gate of an activated adapter: 1 for each token of a record from the last occurrence of some tokens on, those
/// included, and 0 before it, or everywhere if they do not occur.
/// </summary>
/// <remarks>A row that is continued stays as its prompt has it, even if it comes to say the tokens itself.</remarks>
/// <param name="invocation">The tokens, one or more.</param>
internal sealed class InvocationGate(IReadOnlyList<int> invocation) : Gates
{
    /// <inheritdoc/>
    public override int Experts => 1;

    /// <inheritdoc/>
    public override Variable Apply(in TokenPass pass, Variable x) =>
        new(pass.Rows.Shared(invocation, 1, OfRecord, continues: true).Share());

    private float[] OfRecord(ReadOnlySpan<int> tokens, int prompt)
    {
        float[] gates = new float[tokens.Length];
        int[] wanted = [.. invocation];
        int from = tokens.LastIndexOf(wanted);
        if (from >= 0)
            gates.AsSpan(from).Fill(1);
        return gates;
    }
}
