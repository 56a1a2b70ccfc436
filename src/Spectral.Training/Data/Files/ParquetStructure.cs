using System.Text.Json;
using Parquet.Schema;

namespace Spectral.Training.Data.Files;

/// <summary>Rebuilds objects of named columns.</summary>
internal sealed class ParquetStructure : ParquetColumn
{
    private readonly (string Name, ParquetColumn Column)[] _columns;
    private readonly int _level;

    private ParquetStructure((string Name, ParquetColumn Column)[] columns, int level)
    {
        (_columns, _level) = (columns, level);
        Leaves = [.. columns.SelectMany(column => column.Column.Leaves)];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<ParquetLeaf> Leaves { get; }

    /// <summary>Creates the reader of a structure; null: none of its columns is read.</summary>
    /// <param name="fields">Its columns.</param>
    /// <param name="level">The definition level from which on it is not null.</param>
    /// <param name="lists">The number of lists around it.</param>
    public static ParquetStructure? Of(IReadOnlyList<Field> fields, int level, int lists)
    {
        List<(string, ParquetColumn)> columns = [];
        foreach (Field field in fields)
        {
            if (Of(field, lists) is { } column)
                columns.Add((field.Name, column));
        }
        return columns.Count > 0 ? new ParquetStructure([.. columns], level) : null;
    }

    /// <inheritdoc/>
    public override bool IsNull() => First.Definition < _level;

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer)
    {
        if (IsNull())
        {
            Skip();
            writer.WriteNullValue();
            return;
        }

        writer.WriteStartObject();
        foreach ((string name, ParquetColumn column) in _columns)
        {
            if (column.IsNull())
            {
                column.Skip();
                continue;
            }
            writer.WritePropertyName(name);
            column.Write(writer);
        }
        writer.WriteEndObject();
    }
}
