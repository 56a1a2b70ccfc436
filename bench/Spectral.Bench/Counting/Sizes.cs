using System.Globalization;

namespace Spectral.Bench.Counting;

/// <summary>Sizes of a grid or a block as the command line gives them.</summary>
internal static class Sizes
{
    /// <summary>Reads one to three numbers from 1, separated by commas; those that are missing are 1.</summary>
    /// <exception cref="UsageException">The text is nothing of the kind.</exception>
    public static (int X, int Y, int Z) Parse(string option, string text)
    {
        string[] parts = text.Split(',');
        int[] sizes = [1, 1, 1];
        bool isSize = parts.Length <= sizes.Length;
        for (int i = 0; isSize && i < parts.Length; i++)
        {
            isSize =
                int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out sizes[i]) && sizes[i] > 0;
        }
        return isSize
            ? (sizes[0], sizes[1], sizes[2])
            : throw new UsageException(
                $"{option} \"{text}\": expected X, X,Y or X,Y,Z, each a number from 1 to {int.MaxValue}"
            );
    }
}
