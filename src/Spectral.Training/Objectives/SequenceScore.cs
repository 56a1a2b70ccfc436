namespace Spectral.Training.Objectives;

/// <summary>The log-probability of one side of a pair, over the tokens of its completion and the end token.</summary>
/// <param name="Sum">The sum over the tokens.</param>
/// <param name="Tokens">The number of tokens.</param>
/// <param name="Base">The sum that the base gives; 0 if the loss does not compare with it.</param>
internal readonly record struct SequenceScore(double Sum, int Tokens, double Base)
{
    /// <summary>The mean per token.</summary>
    public double Mean => Sum / Tokens;

    /// <summary>How much more probable the model finds the side than the base does, as a logarithm.</summary>
    public double Gain => Sum - Base;
}
