using System.Text.Json;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Packing;

/// <summary>
/// Stores the rows or the columns of a matrix as the vectors of a <see cref="BandMatrix"/>: the packed codes, F16
/// scales and F32 norms.
/// </summary>
internal sealed class BandCodec : PackedCodec
{
    private const string Codec = "bands";
    private const string CodesLeaf = "codes";
    private const string ScalesLeaf = "scales";
    private const string NormsLeaf = "norms";
    private const string VectorsKey = "vectors";
    private const string BandsKey = "bands";
    private const string Rows = "rows";
    private const string Columns = "columns";
    private const int MostBits = 8;

    public override string Name => Codec;

    /// <summary>Packs a matrix whose vectors are already rounded.</summary>
    /// <param name="name">The name of the tensor.</param>
    /// <param name="matrix">The vectors, already rounded.</param>
    /// <param name="areColumns">Whether the vectors are the columns of the tensor; otherwise its rows.</param>
    public static PackedTensor Pack(string name, BandMatrix matrix, bool areColumns)
    {
        (int count, int length) = (matrix.Count, matrix.Length);
        return new PackedTensor(
            name,
            Codec,
            areColumns ? [length, count] : [count, length],
            [
                PackedTensor.Codes(name, CodesLeaf, matrix.Codes),
                PackedTensor.Numbers(
                    name,
                    ScalesLeaf,
                    StoredType.F16,
                    [count, BandMatrix.GroupsOf(length)],
                    matrix.Scales
                ),
                PackedTensor.Numbers(name, NormsLeaf, StoredType.F32, [count], matrix.Norms),
            ],
            json => Describe(json, matrix.Bands, areColumns)
        );
    }

    public override Func<float[]> Read(JsonFields fields, IReadOnlyList<long> shape, PackedParts parts)
    {
        bool areColumns = fields.RequiredText(VectorsKey) switch
        {
            Rows => false,
            Columns => true,
            _ => throw fields.Wrong(VectorsKey, $"{Rows} or {Columns}"),
        };
        if (shape is not [var rows, var columns])
            throw parts.Wrong($"is {InputText.Shape([.. shape])}, expected a matrix");
        (int count, int length) = areColumns ? ((int)columns, (int)rows) : ((int)rows, (int)columns);
        List<(int Bits, int Count)> bands = [];
        long left = count;
        foreach (JsonFields band in fields.Objects(BandsKey))
        {
            bands.Add((band.RequiredInteger("bits", 1, MostBits), band.RequiredInteger("count", 1, int.MaxValue)));
            left -= bands[^1].Count;
        }
        if (left != 0)
            throw parts.Wrong($"has bands of {count - left} vectors, expected {count}");
        SafetensorsTensor codes = parts.Codes(CodesLeaf, BandMatrix.CodeBits(bands, length));
        SafetensorsTensor scales = parts.Numbers(ScalesLeaf, StoredType.F16, count, BandMatrix.GroupsOf(length));
        SafetensorsTensor norms = parts.Numbers(NormsLeaf, StoredType.F32, count);
        return () =>
        {
            BandMatrix matrix = new(length, bands, codes.Data.ToArray(), scales.ToFloats(), norms.ToFloats());
            float[] values = matrix.ToFloats();
            return areColumns ? HostMatrix.Transposed(values, count, length) : values;
        };
    }

    private static void Describe(Utf8JsonWriter json, IReadOnlyList<(int Bits, int Count)> bands, bool areColumns)
    {
        json.WriteString(VectorsKey, areColumns ? Columns : Rows);
        json.WriteStartArray(BandsKey);
        foreach ((int bits, int count) in bands)
        {
            json.WriteStartObject();
            json.WriteNumber("bits", bits);
            json.WriteNumber("count", count);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }
}
