using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>Writes 4-bit weights as bitsandbytes does (<see cref="FourBitWeight"/>).</summary>
internal sealed class WrittenBitsandbytes : WrittenForm
{
    /// <inheritdoc/>
    public override IReadOnlyList<WeightFormat> Formats => [WeightFormat.Nf4, WeightFormat.Fp4];

    /// <inheritdoc/>
    public override IReadOnlyList<WrittenPart> Parts(
        WeightFormat format,
        int rows,
        int columns,
        bool isNested,
        StoredType type
    )
    {
        ScaleGrid grid = QuantizedLayout.For(format).Grid;
        long blocks = grid.Count(rows, columns);
        FourBitState state = new(
            format.Name(),
            grid.Block,
            type,
            [rows, columns],
            isNested ? CompressedScales.Block : null,
            NestedOffset: 0
        );
        return
        [
            Codes(StoredType.U8, StoredCodes.BytesOf((long)rows * columns, 4), 1),
            new WrittenPart(
                FourBitWeight.Map,
                StoredType.F32,
                [FourBitWeight.TableSize],
                matrix => Table(matrix.Table)
            ),
            .. isNested ? NestedScales(blocks) : [Scales(FourBitWeight.Absmax, blocks)],
            new WrittenPart(
                FourBitWeight.State + format.Name(),
                StoredType.U8,
                [state.Length],
                matrix => (state with { NestedOffset = matrix.Compressed?.Mean ?? 0 }).ToJson()
            ),
        ];
    }

    /// <inheritdoc/>
    public override JsonObject Settings(
        WeightFormat format,
        bool isNested,
        StoredType type,
        IReadOnlyList<string> plain
    ) =>
        new()
        {
            ["quant_method"] = BitsandbytesForm.MethodName,
            ["load_in_4bit"] = true,
            ["load_in_8bit"] = false,
            ["bnb_4bit_quant_type"] = format.Name(),
            ["bnb_4bit_use_double_quant"] = isNested,
            ["bnb_4bit_compute_dtype"] = TorchTypes.NameOf(type),
            ["bnb_4bit_quant_storage"] = "uint8",
            ["llm_int8_skip_modules"] = ListOf(plain),
        };

    // bitsandbytes has no -0 in its maps, although FP4 has two codes of 0.
    private static byte[] Table(ReadOnlySpan<float> values)
    {
        float[] table = [.. values];
        TensorPrimitives.Add(table, 0f, table);
        return MemoryMarshal.AsBytes(table.AsSpan()).ToArray();
    }

    private static WrittenPart[] NestedScales(long blocks) =>
        [
            new(FourBitWeight.Absmax, StoredType.U8, [blocks], matrix => BytesOf(matrix.Compressed!.Codes)),
            new(
                FourBitWeight.NestedAbsmax,
                StoredType.F32,
                [(blocks + CompressedScales.Block - 1) / CompressedScales.Block],
                matrix => BytesOf(matrix.Compressed!.Largest)
            ),
            new(
                FourBitWeight.NestedMap,
                StoredType.F32,
                [FourBitWeight.NestedTableSize],
                matrix => BytesOf(matrix.Compressed!.Map)
            ),
        ];
}
