namespace Spectral.Training.Adapters.Building;

/// <summary>Finds block sizes that divide layers.</summary>
internal static class Divisors
{
    /// <summary>
    /// Returns the divisor of <paramref name="size"/> nearest to the wanted one. Of two equally near it is the smaller,
    /// as in PEFT's OFT.
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

    /// <summary>Returns the largest number, up to the wanted one, that divides all sizes.</summary>
    public static int Common(int wanted, params IEnumerable<int> sizes) =>
        Enumerable.Range(1, wanted).Last(divisor => sizes.All(size => size % divisor == 0));

    /// <summary>Returns the inputs and outputs of layers.</summary>
    public static IEnumerable<int> Sizes(IReadOnlyList<ModuleShape> layers) =>
        layers.SelectMany(layer => new[] { layer.In, layer.Out });
}
