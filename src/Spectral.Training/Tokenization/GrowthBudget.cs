using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>
/// Limits how much longer the steps of a tokenizer may make a text. A character becomes at most three bytes or a few
/// canonical parts. But a chain of steps in a file can double the text with every step, and discard the result.
/// </summary>
internal sealed class GrowthBudget(int length)
{
    private const int Factor = 64;
    private const int Floor = 1 << 16;

    private long _left = ((long)Factor * length) + Floor;

    /// <summary>Counts the output of a step.</summary>
    /// <exception cref="InputException">The limit is exceeded.</exception>
    public void Spend(int made)
    {
        if ((_left -= made) < 0)
        {
            throw new InputException(
                $"the tokenizer makes more than {Factor} times as much of a text of {length} characters, "
                    + "expected another tokenizer.json"
            );
        }
    }
}
