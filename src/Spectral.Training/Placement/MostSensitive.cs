namespace Spectral.Training.Placement;

/// <summary>
/// Counts how many of the largest values over all layers are in each layer. It holds at most twice as many values as
/// are asked for.
/// </summary>
/// <param name="count">How many values are the largest; of equal ones the first.</param>
internal sealed class MostSensitive(long count)
{
    private List<(float Value, int Layer)> _largest = [];
    private float _floor = float.NegativeInfinity;

    /// <summary>Adds the values of the next layer.</summary>
    public void Add(int layer, ReadOnlySpan<float> values)
    {
        foreach (float value in values)
        {
            // Of values that equal the floor, earlier ones fill the places already.
            if (value <= _floor)
                continue;
            _largest.Add((value, layer));
            if (_largest.Count >= 2 * count)
                Cut();
        }
    }

    /// <summary>Returns the number of the largest values in each of some layers.</summary>
    public long[] Counts(int layers)
    {
        Cut();
        long[] counts = new long[layers];
        foreach ((_, int layer) in _largest)
            counts[layer]++;
        return counts;
    }

    private void Cut()
    {
        // A stable sort, so that of equal values the first stay.
        _largest = [.. _largest.OrderByDescending(entry => entry.Value).Take((int)Math.Min(count, int.MaxValue))];
        if (_largest.Count == count)
            _floor = _largest[^1].Value;
    }
}
