using System.Text.Json;
using Parquet;
using Parquet.Data;
using Parquet.Schema;

namespace Spectral.Training.Data.Files;

/// <summary>Reads a column of single values with its levels.</summary>
internal sealed class ParquetLeaf : ParquetColumn
{
    // JSON has no numbers that are not finite.
    private static readonly Dictionary<Type, Func<RawColumnData, Action<Utf8JsonWriter, int>>> Kinds = new()
    {
        [typeof(ReadOnlyMemory<char>)] = Kind<ReadOnlyMemory<char>>((to, x) => to.WriteStringValue(x.Span)),
        [typeof(bool)] = Kind<bool>((to, x) => to.WriteBooleanValue(x)),
        [typeof(sbyte)] = Kind<sbyte>((to, x) => to.WriteNumberValue(x)),
        [typeof(byte)] = Kind<byte>((to, x) => to.WriteNumberValue(x)),
        [typeof(short)] = Kind<short>((to, x) => to.WriteNumberValue(x)),
        [typeof(ushort)] = Kind<ushort>((to, x) => to.WriteNumberValue(x)),
        [typeof(int)] = Kind<int>((to, x) => to.WriteNumberValue(x)),
        [typeof(uint)] = Kind<uint>((to, x) => to.WriteNumberValue(x)),
        [typeof(long)] = Kind<long>((to, x) => to.WriteNumberValue(x)),
        [typeof(ulong)] = Kind<ulong>((to, x) => to.WriteNumberValue(x)),
        [typeof(float)] = Kind<float>((to, x) => WriteFinite(to, x)),
        [typeof(double)] = Kind<double>(WriteFinite),
    };

    private readonly Func<RawColumnData, Action<Utf8JsonWriter, int>> _kind;
    private RawColumnData? _data;
    private Action<Utf8JsonWriter, int>? _write;
    private int[] _definitions = [];
    private int[] _repetitions = [];
    private int _entry;
    private int _value;

    private ParquetLeaf(DataField field, Func<RawColumnData, Action<Utf8JsonWriter, int>> kind)
    {
        (Field, _kind) = (field, kind);
        Leaves = [this];
    }

    /// <summary>The column.</summary>
    public DataField Field { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<ParquetLeaf> Leaves { get; }

    /// <summary>The definition level of the next entry.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    public int Definition =>
        _entry < _definitions.Length
            ? _definitions[_entry]
            : throw new InvalidDataException($"the column {Field.Path} ends before the others");

    /// <summary>The repetition level of the next entry; 0, as at the beginning of a row, behind the last.</summary>
    public int Repetition => _entry < _repetitions.Length ? _repetitions[_entry] : 0;

    /// <summary>Creates the reader of a column; null: its type is not read.</summary>
    public static ParquetLeaf? Of(DataField field) =>
        Kinds.TryGetValue(field.ClrType, out Func<RawColumnData, Action<Utf8JsonWriter, int>>? kind)
            ? new ParquetLeaf(field, kind)
            : null;

    /// <summary>Reads the column of a row group.</summary>
    public void Open(ParquetRowGroupReader rows)
    {
        Close();
        _data = rows.ReadRawColumnDataBaseAsync(Field, default).AsTask().GetAwaiter().GetResult();
        _write = _kind(_data);
        // Without levels, every row has one value.
        int count = checked((int)rows.GetMetadata(Field)!.MetaData!.NumValues);
        _definitions = Field.MaxDefinitionLevel > 0 ? _data.DefinitionLevels.ToArray() : new int[count];
        _repetitions = Field.MaxRepetitionLevel > 0 ? _data.RepetitionLevels.ToArray() : [];
        (_entry, _value) = (0, 0);
    }

    /// <summary>Gives back the memory of the row group.</summary>
    public void Close()
    {
        _data?.Dispose();
        _data = null;
    }

    /// <inheritdoc/>
    public override bool IsNull() => Definition < Field.MaxDefinitionLevel;

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer)
    {
        if (IsNull())
            writer.WriteNullValue();
        else
            _write!(writer, _value);
        Advance();
    }

    /// <summary>Goes on to the next entry.</summary>
    public void Advance()
    {
        if (!IsNull())
            _value++;
        _entry++;
    }

    private static Func<RawColumnData, Action<Utf8JsonWriter, int>> Kind<T>(Action<Utf8JsonWriter, T> write)
        where T : struct =>
        data =>
        {
            var typed = (RawColumnData<T>)data;
            return (to, at) => write(to, typed.Values[at]);
        };

    private static void WriteFinite(Utf8JsonWriter writer, double value)
    {
        if (double.IsFinite(value))
            writer.WriteNumberValue(value);
        else
            writer.WriteNullValue();
    }
}
