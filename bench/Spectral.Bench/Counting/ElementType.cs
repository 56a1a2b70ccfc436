using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using Spectral.Kernels;

namespace Spectral.Bench.Counting;

/// <summary>A type of number that an argument of a kernel, or an element of its buffer, can have.</summary>
/// <param name="Name">As a SPEC has it: <c>f32</c>.</param>
/// <param name="Bytes">Size of a number.</param>
/// <param name="ParameterTypes">Types of PTX parameters that take such a number.</param>
/// <param name="Parse">Writes a number that a text names, and returns whether it does and the number fits.</param>
/// <param name="FromIndex">Writes the number nearest to an index; integers wrap around.</param>
internal sealed record ElementType(
    string Name,
    int Bytes,
    IReadOnlyList<string> ParameterTypes,
    ElementType.Parser Parse,
    ElementType.Writer FromIndex
)
{
    public delegate bool Parser(string text, Span<byte> destination);

    public delegate void Writer(long index, Span<byte> destination);

    /// <summary>All types, by name.</summary>
    public static IReadOnlyDictionary<string, ElementType> All { get; } =
        new[]
        {
            Integer<byte>("u8"),
            Integer<short>("i16"),
            Integer<int>("i32"),
            Integer<uint>("u32"),
            Integer<long>("i64"),
            Integer<ulong>("u64"),
            Float("f16", 2, (value, to) => BinaryPrimitives.WriteHalfLittleEndian(to, (Half)value)),
            Float(
                "bf16",
                2,
                (value, to) => BinaryPrimitives.WriteUInt16LittleEndian(to, BFloat16.FromSingle((float)value))
            ),
            Float("f32", 4, (value, to) => BinaryPrimitives.WriteSingleLittleEndian(to, (float)value)),
            Float("f64", 8, (value, to) => BinaryPrimitives.WriteDoubleLittleEndian(to, value)),
        }.ToDictionary(type => type.Name);

    /// <summary>Types of PTX parameters that take an address.</summary>
    public static IReadOnlyList<string> AddressTypes => All["u64"].ParameterTypes;

    private static ElementType Integer<T>(string name)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int bytes = T.Zero.GetByteCount();
        return new ElementType(
            name,
            bytes,
            [$"u{8 * bytes}", $"s{8 * bytes}", $"b{8 * bytes}"],
            (text, to) =>
                T.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out T value)
                && value.TryWriteLittleEndian(to, out _),
            (index, to) => T.CreateTruncating(index).TryWriteLittleEndian(to, out _)
        );
    }

    private static ElementType Float(string name, int bytes, Write write) =>
        new(
            name,
            bytes,
            [name, $"b{8 * bytes}"],
            (text, to) =>
            {
                bool isNumber = double.TryParse(
                    text,
                    NumberStyles.Float,
                    CultureInfo.InvariantCulture,
                    out double value
                );
                if (isNumber)
                    write(value, to);
                return isNumber;
            },
            (index, to) => write(index, to)
        );

    private delegate void Write(double value, Span<byte> to);
}
