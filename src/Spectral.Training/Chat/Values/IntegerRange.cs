using System.Collections;

namespace Spectral.Training.Chat.Values;

/// <summary>Python's range of at most 100,000 integers, which Jinja's sandbox allows.</summary>
internal sealed class IntegerRange : IReadOnlyList<object?>
{
    private const long MaximumLength = 100_000;

    public IntegerRange(long start, long stop, long step)
    {
        if (step == 0)
            throw TemplateError.Value("range() arg 3 must not be zero");
        (Start, Stop, Step) = (start, stop, step);
        Int128 span = step > 0 ? (Int128)stop - start : (Int128)start - stop;
        Int128 length = span <= 0 ? 0 : (span - 1) / Int128.Abs(step) + 1;
        if (length > MaximumLength)
        {
            throw new TemplateError(
                "OverflowError",
                $"Range too big. The sandbox blocks ranges larger than MAX_RANGE ({MaximumLength})."
            );
        }
        Count = (int)length;
    }

    public long Start { get; }

    public long Stop { get; }

    public long Step { get; }

    public int Count { get; }

    public object? this[int index] => Start + index * Step;

    public IEnumerator<object?> GetEnumerator()
    {
        for (int i = 0; i < Count; i++)
            yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
