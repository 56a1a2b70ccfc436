namespace Spectral.Training.Adapters.Building;

/// <summary>Sizes of blocks that layers divide into.</summary>
internal static class Divisors
{
    /// <summary>
    /// The divisor of <paramref name="size"/> nearest to the one wanted, the smaller of two that are equally near, as
    /// PEFT's OFT chooses.
    /// </summary>
    public static int Nearest(int size, int wanted)
    {
        if (wanted >= size)
            return size;
        for (int distance = 0; ; distance++)
        {
            if (wanted - distance >= 1 && size % (wanted - distance) == 0)
                return wanted - distance;
            if (size % (wanted + distance) == 0)
                return wanted + distance;
        }
    }

    /// <summary>The largest number up to the one wanted that divides all sizes.</summary>
    public static int Common(int wanted, params IEnumerable<int> sizes) =>
        Enumerable.Range(1, wanted).Last(divisor => sizes.All(size => size % divisor == 0));
}
