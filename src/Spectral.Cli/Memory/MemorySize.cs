using System.Globalization;

namespace Spectral.Cli.Memory;

/// <summary>Reads and writes sizes of memory.</summary>
internal static class MemorySize
{
    /// <summary>What a size looks like, for messages.</summary>
    public const string Expected = "a size such as 24GB, 512MiB or a number of bytes";

    private static readonly (string Unit, double Bytes)[] Units =
    [
        ("KiB", 1L << 10),
        ("MiB", 1L << 20),
        ("GiB", 1L << 30),
        ("TiB", 1L << 40),
        ("KB", 1e3),
        ("MB", 1e6),
        ("GB", 1e9),
        ("TB", 1e12),
        ("B", 1),
    ];

    /// <summary>Reads a size of at least one byte; null if the text is none.</summary>
    public static long? Parse(string text)
    {
        (string unit, double bytes) = Units.FirstOrDefault(
            unit => text.EndsWith(unit.Unit, StringComparison.OrdinalIgnoreCase),
            ("", 1)
        );
        bool isNumber = double.TryParse(
            text[..^unit.Length].TrimEnd(' '),
            NumberStyles.AllowDecimalPoint,
            CultureInfo.InvariantCulture,
            out double number
        );
        double size = Math.Floor(number * bytes);
        return isNumber && size is >= 1 and < long.MaxValue ? (long)size : null;
    }

    /// <summary>Writes a size in MiB, or in GiB from 10 GiB on.</summary>
    public static string Text(long bytes) =>
        Math.Abs(bytes) < 10L << 30
            ? (bytes / (double)(1 << 20)).ToString("#,0.##", CultureInfo.InvariantCulture) + " MiB"
            : (bytes / (double)(1 << 30)).ToString("#,0.##", CultureInfo.InvariantCulture) + " GiB";
}
