namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Equal blocks of a layer's inputs, given by their size or by their number. PEFT's configs have one of the two and 0
/// for the other.
/// </summary>
internal static class BlockSizes
{
    public const string Size = "block-size";
    public const string Number = "blocks";

    /// <summary>Creates the setting for the number of blocks.</summary>
    /// <param name="peftKey">The key in PEFT's config.</param>
    public static AdapterSetting NumberSetting(string peftKey) =>
        AdapterSetting.Whole(
            Number,
            0,
            0,
            65536,
            "Number of blocks instead of their size, rounded to the nearest divisor of a layer's inputs."
        ) with
        {
            PeftKey = peftKey,
            InPlaceOf = Size,
        };

    /// <summary>Returns the size of a layer's blocks: the divisor of its inputs nearest to the setting.</summary>
    public static int Of(AdapterBuilder layer) =>
        layer.Setting(Number) is > 0 and var number
            ? layer.In / Divisors.Nearest(layer.In, (int)number)
            : Divisors.Nearest(layer.In, (int)layer.Setting(Size));
}
