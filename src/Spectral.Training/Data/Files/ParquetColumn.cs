using System.Text.Json;
using Parquet.Schema;

namespace Spectral.Training.Data.Files;

/// <summary>
/// Rebuilds the values of a column, or of a whole row, from the definition and repetition levels of its leaves
/// (Melnik et al.: "Dremel", 2010). An entry of a leaf is one value, or one place where it, or something around it, is
/// null or an empty list.
/// </summary>
internal abstract class ParquetColumn
{
    /// <summary>The leaves, in the order of the schema; at least one.</summary>
    public abstract IReadOnlyList<ParquetLeaf> Leaves { get; }

    /// <summary>The leaf whose levels say what is null around all of them.</summary>
    protected ParquetLeaf First => Leaves[0];

    /// <summary>Creates the reader of a row; null: no column can be read.</summary>
    public static ParquetColumn? Of(IReadOnlyList<Field> fields) => ParquetStructure.Of(fields, 0, 0);

    /// <summary>Returns whether the next value is null.</summary>
    public abstract bool IsNull();

    /// <summary>Writes the next value, and goes on behind it.</summary>
    public abstract void Write(Utf8JsonWriter writer);

    /// <summary>Goes on behind an entry that stands for nothing.</summary>
    public void Skip()
    {
        foreach (ParquetLeaf leaf in Leaves)
            leaf.Advance();
    }

    /// <summary>Creates the reader of a column; null: its type is not read.</summary>
    /// <param name="field">The column.</param>
    /// <param name="lists">The number of lists around it.</param>
    protected static ParquetColumn? Of(Field field, int lists)
    {
        int repetition = field.MaxRepetitionLevel;
        return field switch
        {
            DataField { IsArray: true } array when repetition == lists + 1 => ParquetList.Of(
                ParquetLeaf.Of(array),
                array
            ),
            DataField { IsArray: false } data when repetition == lists => ParquetLeaf.Of(data),
            ListField list when repetition == lists + 1 => ParquetList.Of(Of(list.Item, repetition), list),
            StructField structure when repetition == lists => ParquetStructure.Of(
                structure.Fields,
                structure.MaxDefinitionLevel,
                lists
            ),
            _ => null,
        };
    }
}
