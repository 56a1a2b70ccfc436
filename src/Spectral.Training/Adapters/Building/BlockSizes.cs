namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Blocks of a layer's inputs, all of one size, by that size or by their number: PEFT's configs have one of the two,
/// and 0 for the other.
/// </summary>
internal static class BlockSizes
{
    public const string Size = "block-size";
    public const string Number = "blocks";

    /// <summary>The setting of the number.</summary>
    /// <param name="peftKey">PEFT's key.</param>
    public static AdapterSetting NumberSetting(string peftKey) =>
        AdapterSetting.Whole(
            Number,
            0,
            0,
            65536,
            "Number of blocks, in place of their size; the nearest divisor of a layer's inputs."
        ) with
        {
            PeftKey = peftKey,
            InPlaceOf = Size,
        };

    /// <summary>The size of a layer's blocks: the nearest that divides.</summary>
    public static int Of(AdapterBuilder layer) =>
        layer.Setting(Number) is > 0 and var number
            ? layer.In / Divisors.Nearest(layer.In, (int)number)
            : Divisors.Nearest(layer.In, (int)layer.Setting(Size));
}
