using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// A weight in bitsandbytes' 4-bit layout: codes of the row-major flattened weight, the first of two in the upper half
/// of its byte, a scale (<c>absmax</c>) for each block of them, and a state in JSON.
/// </summary>
internal static class FourBitWeight
{
    /// <summary>The number of values that 4 bits tell apart.</summary>
    public const int TableSize = 16;

    /// <summary>The number of values of a quantised scale.</summary>
    public const int NestedTableSize = 256;

    /// <summary>The scale of each block, or its code.</summary>
    public const string Absmax = "weight.absmax";

    /// <summary>The values of the codes.</summary>
    public const string Map = "weight.quant_map";

    /// <summary>The largest magnitudes of blocks of scales.</summary>
    public const string NestedAbsmax = "weight.nested_absmax";

    /// <summary>The values of the codes of scales.</summary>
    public const string NestedMap = "weight.nested_quant_map";

    /// <summary>What the state's name begins with; the kind of codes follows.</summary>
    public const string State = "weight.quant_state.bitsandbytes__";

    /// <summary>The parts of such a weight beside its codes.</summary>
    public static IReadOnlyList<string> Companions { get; } =
    [Absmax, Map, NestedAbsmax, NestedMap, .. FourBitState.Types.Select(type => State + type)];

    /// <inheritdoc cref="StoredForm.Open"/>
    public static StoredWeight Open(WeightParts parts)
    {
        SafetensorsTensor stored = parts.Require(StoredForm.Weight, "U8 codes");
        string type =
            FourBitState.Types.FirstOrDefault(type => parts.Find(State + type) is not null) ?? FourBitState.Types[0];
        SafetensorsTensor stateTensor = parts.Require(
            State + type,
            $"a state of {string.Join(" or ", FourBitState.Types)} in JSON"
        );
        var state = FourBitState.Read(stateTensor, type);
        (int rows, int columns) = parts.RequireMatrix(stateTensor, state.Shape);
        long count = (long)rows * columns;
        parts.Require(StoredForm.Weight, StoredType.U8, StoredCodes.BytesOf(count, 4), 1);
        var grid = ScaleGrid.Flat(state.BlockSize);
        WeightFormat format = type == FourBitState.Types[0] ? WeightFormat.Nf4 : WeightFormat.Fp4;
        return new StoredWeight(
            parts.Name,
            state.DenseType,
            (rows, columns),
            new QuantizedLayout(format, grid),
            new StoredCodes(stored, 4),
            Table(parts),
            Scales(parts, state, (count + state.BlockSize - 1) / state.BlockSize),
            parts.InOrder(StoredForm.Weight, Absmax, Map, NestedAbsmax, NestedMap, State + type)
        );
    }

    private static float[] Table(WeightParts parts)
    {
        SafetensorsTensor stored = parts.RequireFloats(Map, TableSize);
        float[] table = stored.ToFloats();
        return table.AsSpan().ContainsAnyExcept(0f)
            ? table
            : throw WeightParts.Wrong(stored, "values that are not all 0");
    }

    private static WeightScales Scales(WeightParts parts, FourBitState state, long blocks)
    {
        if (state.NestedBlockSize is not { } nested)
        {
            const string Plain = "the state has no nested_blocksize";
            parts.RequireNone(NestedAbsmax, Plain);
            parts.RequireNone(NestedMap, Plain);
            return new StoredScales(parts.RequireFloats(Absmax, blocks));
        }

        return new NestedScales(
            parts.Require(Absmax, StoredType.U8, blocks),
            parts.RequireFloats(NestedAbsmax, (blocks + nested - 1) / nested),
            parts.RequireFloats(NestedMap, NestedTableSize).ToFloats(),
            state.NestedOffset,
            nested
        );
    }
}
