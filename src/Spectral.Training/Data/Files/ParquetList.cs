using System.Text.Json;
using Parquet.Schema;

namespace Spectral.Training.Data.Files;

/// <summary>Rebuilds lists of equal items.</summary>
internal sealed class ParquetList : ParquetColumn
{
    private readonly ParquetColumn _item;
    private readonly int _level;
    private readonly int _repetition;

    private ParquetList(ParquetColumn item, Field field) =>
        (_item, _level, _repetition) = (item, field.MaxDefinitionLevel, field.MaxRepetitionLevel);

    /// <inheritdoc/>
    public override IReadOnlyList<ParquetLeaf> Leaves => _item.Leaves;

    /// <summary>Creates the reader of a list; null: its items are not read.</summary>
    /// <param name="item">The reader of its items.</param>
    /// <param name="field">The list, whose levels are those of an item that is there.</param>
    public static ParquetList? Of(ParquetColumn? item, Field field) =>
        item is null ? null : new ParquetList(item, field);

    /// <inheritdoc/>
    public override bool IsNull() => First.Definition < _level - 1;

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        if (First.Definition < _level)
        {
            Skip();
        }
        else
        {
            do _item.Write(writer);
            while (First.Repetition == _repetition);
        }
        writer.WriteEndArray();
    }
}
