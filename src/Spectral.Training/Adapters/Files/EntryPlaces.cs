using Spectral.Kernels;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// The places of the entries of a sparse change as files hold them, [2, n]: the rows, then the columns, both −1 for a
/// place that is not in use. PEFT writes them so for SHiRA, I32, or F32 on Windows.
/// </summary>
internal static class EntryPlaces
{
    /// <summary>Returns rows and columns of places that count row by row.</summary>
    public static int[] Split(int[] places, Shape matrix)
    {
        int columns = matrix[1];
        int[] split = new int[2 * places.Length];
        for (int k = 0; k < places.Length; k++)
        {
            bool used = places[k] >= 0;
            split[k] = used ? places[k] / columns : -1;
            split[places.Length + k] = used ? places[k] % columns : -1;
        }

        return split;
    }

    /// <summary>Reads the places of a tensor [2, n] of a file.</summary>
    /// <exception cref="InputException">
    /// They are no whole numbers, outside the matrix, or two of them are the same.
    /// </exception>
    public static int[] Read(AdapterTensor tensor, Shape matrix)
    {
        long[] split = tensor.Source is { } stored && !tensor.Type.IsFloat() ? stored.ToIntegers() : Whole(tensor);
        int count = split.Length / 2;
        int[] places = new int[count];
        for (int k = 0; k < count; k++)
        {
            (long row, long column) = (split[k], split[count + k]);
            if (row == -1 && column == -1)
            {
                places[k] = -1;
                continue;
            }

            if (row < 0 || row >= matrix[0] || column < 0 || column >= matrix[1])
                throw Wrong(tensor, $"has the place ({row}, {column}), expected one within {matrix}");
            places[k] = checked((int)(row * matrix[1] + column));
        }

        IEnumerable<IGrouping<int, int>> used = places.Where(place => place >= 0).GroupBy(place => place);
        if (used.FirstOrDefault(same => same.Skip(1).Any()) is { Key: var twice })
            throw Wrong(tensor, $"has the place ({twice / matrix[1]}, {twice % matrix[1]}) twice, expected it once");
        return places;
    }

    private static long[] Whole(AdapterTensor tensor) =>
        Array.ConvertAll(
            tensor.ToFloats(),
            value =>
                value == MathF.Truncate(value)
                    ? (long)value
                    : throw Wrong(
                        tensor,
                        FormattableString.Invariant($"has the place {value}, expected a whole number")
                    )
        );

    private static InputException Wrong(AdapterTensor tensor, string what) =>
        new($"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} {what}");
}
