using System.Numerics.Tensors;
using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;
using Tensor = Spectral.Kernels.Tensor;

namespace Spectral.Training.Quantization;

/// <summary>
/// A quantised weight [Rows, Columns] of an open model folder: value (i, j) is the table's value of code (i, j), times
/// the scale of its block. Nothing but small tensors is in memory; codes and scales are read as they are asked for.
/// Valid until the folder is disposed.
/// </summary>
internal sealed class StoredWeight : ComputedValues
{
    // Codes of a piece are looked up, scaled and checked while they are in the cache.
    private const int Piece = 1 << 14;

    // Codes and scales are copied to a device in pieces, which bounds the host memory.
    private const int CopyPiece = 1 << 22;

    /// <summary>Puts a weight together; all sizes are checked already.</summary>
    /// <param name="name">The name of the weight in the model.</param>
    /// <param name="type">The type that the weight had before it was quantised.</param>
    /// <param name="size">The rows and columns.</param>
    /// <param name="layout">The kind of codes, and which elements share a scale.</param>
    /// <param name="codes">The codes.</param>
    /// <param name="table">The values of the codes: 16 or 256.</param>
    /// <param name="scales">The scales.</param>
    /// <param name="parts">Everything that is stored of it, codes first.</param>
    public StoredWeight(
        string name,
        StoredType type,
        (int Rows, int Columns) size,
        QuantizedLayout layout,
        StoredCodes codes,
        float[] table,
        WeightScales scales,
        IReadOnlyList<SafetensorsTensor> parts
    )
        : base(name, type, [size.Rows, size.Columns], parts) =>
        (Rows, Columns, Layout, Codes, Table, Scales) = (size.Rows, size.Columns, layout, codes, table, scales);

    /// <summary>The number of rows.</summary>
    public int Rows { get; }

    /// <summary>The number of columns.</summary>
    public int Columns { get; }

    /// <summary>The kind of codes, and which elements share a scale.</summary>
    public QuantizedLayout Layout { get; }

    /// <summary>The codes of all weights, as the folder has them.</summary>
    public StoredCodes Codes { get; }

    /// <summary>The values of the codes: 16 or 256.</summary>
    public float[] Table { get; }

    /// <summary>The values of the codes where the folder has its own; empty: they are those of the format.</summary>
    public ReadOnlySpan<float> OwnTable => Layout.Format is WeightFormat.Nf4 or WeightFormat.Fp4 ? Table : default;

    /// <summary>The scales of all blocks, as the folder has them.</summary>
    public WeightScales Scales { get; }

    /// <summary>How <see cref="ToDevice"/> keeps it.</summary>
    public QuantizedForm Form => new(Layout, Scales is NestedScales { Block: CompressedScales.Block });

    /// <inheritdoc/>
    public override void ReadFloats(long start, Span<float> destination)
    {
        for (int done = 0; done < destination.Length; done += Piece)
        {
            Span<float> part = destination.Slice(done, Math.Min(Piece, destination.Length - done));
            Codes.Decode(Table, start + done, part);
            if (Layout.Grid.Block > 0)
                ScaleBlocks(start + done, part);
            else
                ScaleTiles(start + done, part);
            if (FiniteValues.FirstNonFinite(part) is >= 0 and var at)
                throw NotFinite(start + done + at, part[at]);
        }
    }

    /// <summary>Copies codes and scales to a device; scales that are quantised stay so where the device can.</summary>
    /// <exception cref="InputException">A code or a scale is not a finite number.</exception>
    public QuantizedMatrix ToDevice(Device device)
    {
        QuantizedMatrix matrix = new(device, Rows, Columns, Layout, OwnTable);
        try
        {
            CopyTo(matrix);
            return matrix;
        }
        catch
        {
            matrix.Dispose();
            throw;
        }
    }

    /// <summary>Copies codes and scales into a matrix of the same size, layout and table.</summary>
    /// <inheritdoc cref="ToDevice" path="/exception"/>
    public void CopyTo(QuantizedMatrix matrix)
    {
        CopyCodes(matrix.Codes);
        if (Scales is NestedScales { Block: CompressedScales.Block } nested)
            matrix.UseCompressed(Compressed(nested, matrix.Device));
        else
            CopyScales(matrix.Scales!);
    }

    private void CopyCodes(Tensor target)
    {
        byte[] buffer = new byte[(int)Math.Min(CopyPiece, target.Count)];
        for (long done = 0; done < target.Count; done += buffer.Length)
        {
            Span<byte> piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, target.Count - done));
            Codes.Read(done, piece);
            if (Layout.Format == WeightFormat.Fp8)
                RequireNumbers(done, piece);
            using Tensor part = target.Rows((int)done, piece.Length);
            part.CopyFrom(piece);
        }
    }

    private void RequireNumbers(long start, ReadOnlySpan<byte> codes)
    {
        if (codes.IndexOfAny(CodeTables.NotANumber) is >= 0 and var at)
            throw NotFinite(start + at, float.NaN);
    }

    private void CopyScales(Tensor target)
    {
        float[] buffer = new float[(int)Math.Min(CopyPiece, target.Count)];
        for (long done = 0; done < target.Count; done += buffer.Length)
        {
            Span<float> piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, target.Count - done));
            Scales.Read(done, piece);
            using Tensor part = target.Rows((int)done, piece.Length);
            part.CopyFrom(piece);
        }
    }

    private static CompressedScales Compressed(NestedScales nested, Device device)
    {
        CompressedScales scales = new(device, (int)nested.Codes.Count, nested.Mean);
        scales.Codes.CopyFrom(nested.Codes.Data);
        scales.Largest.CopyFrom(nested.Absmax.ToFloats());
        scales.Map.CopyFrom(nested.Map);
        return scales;
    }

    private void ScaleBlocks(long start, Span<float> values)
    {
        int block = Layout.Grid.Block;
        long first = start / block;
        float[] scales = new float[(start + values.Length - 1) / block - first + 1];
        Scales.Read(first, scales);
        int done = 0;
        foreach (float scale in scales)
        {
            int end = (int)Math.Min(values.Length, (first + 1) * block - start);
            Span<float> part = values[done..end];
            TensorPrimitives.Multiply(part, scale, part);
            (done, first) = (end, first + 1);
        }
    }

    private void ScaleTiles(long start, Span<float> values)
    {
        (int tileRows, int tileColumns) = (Layout.Grid.TileRows, Layout.Grid.TileColumns);
        int across = (int)(((long)Columns + tileColumns - 1) / tileColumns);
        float[] scales = new float[across];
        long read = -1;
        for (int done = 0; done < values.Length; )
        {
            (long row, long column) = Math.DivRem(start + done, Columns);
            if (row / tileRows != read)
                Scales.Read((read = row / tileRows) * across, scales);
            int tile = (int)(column / tileColumns);
            long end = Math.Min(Columns, (long)(tile + 1) * tileColumns);
            int length = (int)Math.Min(values.Length - done, end - column);
            Span<float> part = values.Slice(done, length);
            TensorPrimitives.Multiply(part, scales[tile], part);
            done += length;
        }
    }

    private InputException NotFinite(long index, float value)
    {
        int code = Codes.CodeAt(index);
        string found = float.IsFinite(Table[code])
            ? FiniteValues.Describe(value, index, [Rows, Columns])
            : $"code {code}, which is no number, at {InputText.Shape([index / Columns, index % Columns])}";
        return new InputException(
            $"{Codes.Stored.Path}: tensor {InputText.Quote(Codes.Stored.Name)} holds {found}, expected finite numbers"
        );
    }
}
