using System.Buffers;
using System.Text.Json;
using Parquet;
using Spectral.Training.IO;

namespace Spectral.Training.Data.Files;

/// <summary>
/// Reads the rows of a Parquet file as JSON objects, one row group at a time. Columns of texts, numbers and truth
/// values are read, and lists and structures of them; others, such as images, are left out.
/// </summary>
/// <remarks>
/// A structure in a column has the same fields in all rows, where JSON would leave some out. So its fields that are
/// null are left out.
/// </remarks>
internal static class ParquetRecords
{
    private const int MaximumValues = 1 << 28;

    private static ReadOnlySpan<byte> Magic => "PAR1"u8;

    /// <summary>Returns whether a file begins as Parquet does.</summary>
    public static bool IsAhead(InputBuffer buffer)
    {
        while (buffer.Ahead.Length < Magic.Length && buffer.Fill()) { }
        return buffer.Ahead.StartsWith(Magic);
    }

    /// <summary>Returns the rows.</summary>
    /// <exception cref="InputException">
    /// The file is cut off or damaged, has a compression that is not known, or no column that could be read.
    /// </exception>
    public static IEnumerable<RawRecord> Read(Stream stream, string path)
    {
        if (!stream.CanSeek)
            throw new InputException($"{path}: Parquet in a pipe, expected a file");
        ParquetReader reader = Guard(
            path,
            () => ParquetReader.CreateAsync(stream, null, true).GetAwaiter().GetResult()
        );
        try
        {
            ParquetColumn table =
                Guard(path, () => ParquetColumn.Of(reader.Schema.Fields))
                ?? throw new InputException(
                    $"{path}: no column of texts, numbers or truth values, expected those of a format of records"
                );
            long number = 0;
            for (int group = 0; group < reader.RowGroupCount; group++)
            {
                foreach (ReadOnlyMemory<byte> row in Rows(reader, group, table, path))
                    yield return new RawRecord(row, $"{path}, record {++number}");
            }
        }
        finally
        {
            reader.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }
    }

    private static IEnumerable<ReadOnlyMemory<byte>> Rows(
        ParquetReader reader,
        int group,
        ParquetColumn table,
        string path
    )
    {
        using ParquetRowGroupReader rows = Guard(path, () => reader.OpenRowGroupReader(group));
        try
        {
            Guard(path, () => Open(rows, table));
            ArrayBufferWriter<byte> json = new();
            using Utf8JsonWriter writer = new(json);
            for (long row = 0; row < rows.RowCount; row++)
            {
                json.ResetWrittenCount();
                writer.Reset();
                Guard(path, () => table.Write(writer));
                writer.Flush();
                yield return json.WrittenMemory;
            }
        }
        finally
        {
            foreach (ParquetLeaf leaf in table.Leaves)
                leaf.Close();
        }
    }

    private static void Open(ParquetRowGroupReader rows, ParquetColumn table)
    {
        foreach (ParquetLeaf leaf in table.Leaves)
        {
            if (rows.GetMetadata(leaf.Field)?.MetaData?.NumValues is not (>= 0 and <= MaximumValues))
            {
                throw new InvalidDataException(
                    $"a row group with more than {MaximumValues} values in {leaf.Field.Path}"
                );
            }
            leaf.Open(rows);
        }
    }

    private static void Guard(string path, Action read) =>
        Guard(
            path,
            () =>
            {
                read();
                return true;
            }
        );

    // What the library throws on damaged files is of any kind, from inside its decoders too.
    private static T Guard<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is not InputException)
        {
            throw new InputException(
                $"{path}: damaged, cut off, or no Parquet that can be read: {e.Message.ReplaceLineEndings(" ")}",
                e
            );
        }
    }
}
