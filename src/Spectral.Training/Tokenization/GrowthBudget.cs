using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>
/// How much longer the steps of a tokenizer may make a text. A character becomes three bytes at most, or a handful of
/// canonical parts; a chain of steps in a file can double it as often as there are steps, and throw the result away.
/// </summary>
internal sealed class GrowthBudget(int length)
{
    private const int Factor = 64;
    private const int Floor = 1 << 16;

    private long _left = ((long)Factor * length) + Floor;

    /// <summary>Counts what a step has made.</summary>
    /// <exception cref="InputException">It is too much.</exception>
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
