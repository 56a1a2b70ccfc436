namespace Spectral.Training.Metrics;

/// <summary>
/// Counts how often each class was predicted for each: the numbers from which <see cref="Accuracy"/>,
/// <see cref="F1Score"/> and <see cref="MatthewsCorrelation"/> follow.
/// </summary>
public sealed class ConfusionMatrix
{
    private readonly long[,] _counts;

    /// <summary>Counts pairs of an expected and a predicted class.</summary>
    /// <param name="expected">The true classes, from 0 to below <paramref name="classes"/>.</param>
    /// <param name="predicted">The predicted ones, as many.</param>
    /// <param name="classes">The number of classes.</param>
    /// <exception cref="ArgumentException">The lengths differ, or a class is out of range.</exception>
    public ConfusionMatrix(ReadOnlySpan<int> expected, ReadOnlySpan<int> predicted, int classes)
    {
        if (expected.Length != predicted.Length)
        {
            throw new ArgumentException(
                $"{predicted.Length} predicted classes, expected {expected.Length}",
                nameof(predicted)
            );
        }

        _counts = new long[classes, classes];
        for (int i = 0; i < expected.Length; i++)
            _counts[InRange(expected[i], classes), InRange(predicted[i], classes)]++;
        Total = expected.Length;
    }

    /// <summary>The number of classes.</summary>
    public int Classes => _counts.GetLength(0);

    /// <summary>The number of pairs.</summary>
    public long Total { get; }

    /// <summary>The number of pairs whose two classes are equal.</summary>
    public long Right => Enumerable.Range(0, Classes).Sum(each => _counts[each, each]);

    /// <summary>Returns how often a class was predicted for a true one.</summary>
    public long this[int expected, int predicted] => _counts[expected, predicted];

    /// <summary>Returns how often a class was the true one.</summary>
    public long Expected(int label) => Enumerable.Range(0, Classes).Sum(other => _counts[label, other]);

    /// <summary>Returns how often a class was predicted.</summary>
    public long Predicted(int label) => Enumerable.Range(0, Classes).Sum(other => _counts[other, label]);

    private static int InRange(int label, int classes) =>
        label >= 0 && label < classes
            ? label
            : throw new ArgumentException($"class {label}, expected 0 to {classes - 1}", nameof(label));
}
