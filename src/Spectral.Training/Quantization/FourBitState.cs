using System.Numerics;
using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// The state in JSON that bitsandbytes stores beside a 4-bit weight: kind of codes, block sizes, shape and type of the
/// weight, and the mean of scales that are quantised.
/// </summary>
/// <param name="QuantType">The kind of codes: nf4 or fp4.</param>
/// <param name="BlockSize">The number of elements that share a scale.</param>
/// <param name="DenseType">The type that the weight had.</param>
/// <param name="Shape">The shape that the weight had.</param>
/// <param name="NestedBlockSize">The number of scales in a block; null: scales are not quantised.</param>
/// <param name="NestedOffset">The mean that was subtracted from all scales.</param>
internal sealed record FourBitState(
    string QuantType,
    int BlockSize,
    StoredType DenseType,
    IReadOnlyList<long> Shape,
    int? NestedBlockSize,
    float NestedOffset
)
{
    private const int MaximumBytes = 1 << 16;
    private const int SmallestBlock = 32;
    private const int LargestBlock = 4096;
    private const int LongestNumber = 24; // of a double in its shortest form, as -1.2345678901234567E-308

    private const string TypeKey = "quant_type";
    private const string BlockKey = "blocksize";
    private const string DenseTypeKey = "dtype";
    private const string ShapeKey = "shape";
    private const string NestedBlockKey = "nested_blocksize";
    private const string NestedTypeKey = "nested_dtype";
    private const string NestedOffsetKey = "nested_offset";

    /// <summary>The kinds of codes: normal floats and small floats.</summary>
    public static IReadOnlyList<string> Types { get; } = ["nf4", "fp4"];

    /// <summary>Reads the state from the bytes of its tensor.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="type">The kind of codes that the tensor's name says.</param>
    /// <exception cref="InputException">It is malformed, or another kind of codes.</exception>
    public static FourBitState Read(SafetensorsTensor tensor, string type)
    {
        if (tensor.Type != StoredType.U8 || tensor.Bytes > MaximumBytes)
            throw WeightParts.Wrong(tensor, $"at most {MaximumBytes} U8 of JSON");
        string place = $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)}";
        using JsonDocument document = StrictJson.Parse(tensor.Data.ToArray(), place);
        JsonFields fields = new(document.RootElement, place);
        if (fields.RequiredText(TypeKey) != type)
            throw fields.Wrong(TypeKey, $"{type} as the tensor's name says");
        int? nested = fields.Integer(NestedBlockKey, 1, 1 << 20);
        return new FourBitState(
            type,
            Block(fields),
            TorchTypes.Find(fields.RequiredText(DenseTypeKey))
                ?? throw fields.Wrong(DenseTypeKey, "float32, float16 or bfloat16"),
            fields.IntegerOrList(ShapeKey, 1, int.MaxValue)?.Select(size => (long)size).ToArray()
                ?? throw fields.Wrong(ShapeKey, "a list of whole numbers"),
            nested,
            nested is null ? 0 : Offset(fields)
        );
    }

    /// <summary>
    /// The number of bytes of <see cref="ToJson"/>, which does not depend on the mean: a header has it before scales
    /// are computed.
    /// </summary>
    public int Length => NestedBlockSize is null ? Json(0).Length : Json(0).Length - 1 + LongestNumber;

    /// <summary>Returns the JSON that bitsandbytes reads of such a state, with spaces at its end.</summary>
    public byte[] ToJson()
    {
        byte[] json = Json(NestedOffset);
        byte[] padded = new byte[Length];
        padded.AsSpan().Fill((byte)' ');
        json.CopyTo(padded, 0);
        return padded;
    }

    private byte[] Json(float offset)
    {
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream))
        {
            json.WriteStartObject();
            json.WriteString(TypeKey, QuantType);
            json.WriteNumber(BlockKey, BlockSize);
            json.WriteString(DenseTypeKey, TorchTypes.NameOf(DenseType));
            json.WriteStartArray(ShapeKey);
            foreach (long size in Shape)
                json.WriteNumberValue(size);
            json.WriteEndArray();
            if (NestedBlockSize is { } nested)
            {
                json.WriteNumber(NestedBlockKey, nested);
                json.WriteString(NestedTypeKey, TorchTypes.NameOf(StoredType.F32));
                json.WriteNumber(NestedOffsetKey, (double)offset);
            }
            json.WriteEndObject();
        }
        return stream.ToArray();
    }

    private static int Block(JsonFields fields)
    {
        string expected = $"a power of two from {SmallestBlock} to {LargestBlock}";
        int? size = fields.Integer(BlockKey, SmallestBlock, LargestBlock);
        return size is { } block && BitOperations.IsPow2(block) ? block : throw fields.Wrong(BlockKey, expected);
    }

    private static float Offset(JsonFields fields) =>
        (float)(
            fields.Number(NestedOffsetKey, -float.MaxValue, float.MaxValue)
            ?? throw fields.Wrong(NestedOffsetKey, $"a number beside {NestedBlockKey}")
        );
}
