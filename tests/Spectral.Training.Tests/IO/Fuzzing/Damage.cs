using System.Buffers.Binary;
using System.Text;

namespace Spectral.Training.Tests.IO.Fuzzing;

/// <summary>What happens to a valid file: to its bytes, to its JSON tree, to the frame round it.</summary>
internal static class Damage
{
    private static readonly string[] Hostile =
    [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "-0",
        "1",
        "2",
        "3",
        "0.5",
        "1e-320",
        "1e308",
        "1e999",
        "2147483647",
        "2147483648",
        "4294967296",
        "65536",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999",
        "\"\"",
        "{}",
        "[]",
        "[[]]",
        "[0]",
        "[1,1]",
        "[4294967296,4294967296,4]",
        "[0,1,2,3,4,5,6,7,8,9]",
        "[9223372036854775807,2]",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"𝒳é́ﷺ\\u202e\\ufeff\"",
        "\"../model.safetensors\"",
        "\"/etc/passwd\"",
        "\"..\"",
        "\".\"",
        "\"(\"",
        "\"(a+)+$\"",
        "\"(.*)*x\"",
        "\"(?:(?=(.+))\\\\1)+$\"",
        "\"((.*)(.*)(.*))*!\"",
        "\"a{1000}{1000}{1000}\"",
        "\"(?<a>.)\\\\k<a>\"",
        "\"[\"",
        "\"\\\\p{L}+\"",
        "\"\\\\s*\"",
        "\"|\"",
        "\".*\"",
        "\"NaN\"",
        "\"Infinity\"",
        "NaN",
        "\"all-linear\"",
        "\"F32\"",
        "\"F64\"",
        "\"BOOL\"",
        "\"F4\"",
        "{\"\":{}}",
        "{\"type\":\"Sequence\"}",
        "{\"Regex\":\"(x+x+)+y\"}",
        "{\"String\":\"\"}",
        "{\"type\":\"NFC\"}",
        "{\"type\":\"NFD\"}",
        "{\"type\":\"ByteLevel\"}",
        "{\"type\":\"Metaspace\",\"replacement\":\"\"}",
        "{\"type\":\"BPEDecoder\"}",
        "{\"type\":\"Digits\"}",
    ];

    private static readonly ulong[] Lengths =
    [
        0,
        1,
        7,
        8,
        100_000_000,
        100_000_001,
        int.MaxValue,
        uint.MaxValue,
        1UL << 32,
        long.MaxValue,
        1UL << 63,
        ulong.MaxValue,
        ulong.MaxValue - 7,
    ];

    /// <summary>A JSON file.</summary>
    public static byte[] Json(byte[] valid, Random random)
    {
        byte[] bytes = valid;
        for (int times = random.Next(4) == 0 ? random.Next(2, 5) : 1; times > 0; times--)
        {
            bytes =
                random.Next(5) > 0 && JsonSpans.Find(bytes) is { } spans
                    ? Tree(bytes, spans, random)
                    : Bytes(bytes, 4096, random);
        }

        return bytes;
    }

    /// <summary>A safetensors file: its header's JSON, its length, or its data.</summary>
    public static byte[] Safetensors(byte[] valid, Random random)
    {
        int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(valid);
        byte[] header = valid[8..(8 + length)];
        byte[] data = valid[(8 + length)..];
        byte[] prefix = valid[..8];
        switch (random.Next(10))
        {
            case 0:
                return Bytes(valid, 8 + length, random);
            case 4:
                // Numbers are data, whatever they are.
                random.NextBytes(data);
                return [.. prefix, .. header, .. data];
            case 5:
                data.AsSpan().Fill((byte)(random.Next(2) * 255));
                return [.. prefix, .. header, .. data];
            case 1:
                BinaryPrimitives.WriteUInt64LittleEndian(
                    prefix,
                    random.Next(2) == 0 ? Lengths[random.Next(Lengths.Length)] : (ulong)(length + random.Next(-9, 10))
                );
                return [.. prefix, .. header, .. data];
            case 2:
                return [.. valid[..random.Next(valid.Length)], .. new byte[random.Next(2) * random.Next(64)]];
            case 3:
                return [.. valid, .. new byte[random.Next(1, 100)]];
            default:
                header = Json(header, random);
                BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
                // Damaged sizes are found out by the length of the data: now and then it goes with them.
                int bytes =
                    random.Next(3) == 0 ? Math.Clamp(data.Length + (4 * random.Next(-8, 9)), 0, 1 << 16) : data.Length;
                Array.Resize(ref data, bytes);
                return [.. prefix, .. header, .. data];
        }
    }

    /// <summary>A file of JSON objects, one per line.</summary>
    public static byte[] Lines(byte[] valid, Random random)
    {
        if (random.Next(4) == 0)
            return Bytes(valid, valid.Length, random);
        List<byte[]> lines = [.. Encoding.UTF8.GetString(valid).Split('\n').Select(Encoding.UTF8.GetBytes)];
        int at = random.Next(lines.Count);
        switch (random.Next(8))
        {
            case 0:
                lines.Insert(at, Repeated(" \t\r", random));
                break;
            case 1:
                lines[at] = [.. lines[at], .. lines[random.Next(lines.Count)]];
                break;
            case 2:
                lines.Insert(at, [.. "{\"text\":\""u8, .. Repeated("é\\n𝒳", random), .. "\"}"u8]);
                break;
            default:
                lines[at] = Json(lines[at], random);
                break;
        }
        byte[] end = random.Next(3) == 0 ? [.. "\r\n"u8] : [.. "\n"u8];
        return [.. lines.SelectMany(line => (byte[])[.. line, .. end])];
    }

    private static byte[] Tree(byte[] json, JsonSpans spans, Random random)
    {
        List<(int Start, int Length)> level = spans.Values[random.Next(spans.Values.Count)];
        (int start, int length) = level[random.Next(level.Count)];
        byte[] value = json[start..(start + length)];
        switch (random.Next(10))
        {
            case 0 when spans.Members.Count > 0:
                // Twice the same key, with this value or another.
                (start, length) = spans.Members[random.Next(spans.Members.Count)];
                return Splice(json, start, 0, [.. json.AsSpan(start, length), (byte)',']);
            case 1 when spans.Members.Count > 0:
                (start, length) = spans.Members[random.Next(spans.Members.Count)];
                if (json.AsSpan(start + length).StartsWith(","u8))
                    return Splice(json, start, length + 1, []);
                return json[start - 1] == (byte)','
                    ? Splice(json, start - 1, length + 1, [])
                    : Splice(json, start, length, []);
            case 2 when spans.Keys.Count > 1:
                (start, length) = spans.Keys[random.Next(spans.Keys.Count)];
                (int from, int count) = spans.Keys[random.Next(spans.Keys.Count)];
                return Splice(
                    json,
                    start,
                    length,
                    random.Next(2) == 0
                        ? json[from..(from + count)]
                        : [(byte)'"', .. Repeated("k(\\u00e9", random), (byte)'"']
                );
            case 3:
                int depth = (int[])[1, 2, 20, 31, 199, 201, 5000] is var depths
                    ? depths[random.Next(depths.Length)]
                    : 0;
                bool array = random.Next(2) == 0;
                string open = array ? "[" : "{\"a\":";
                string close = array ? "]" : "}";
                return Splice(
                    json,
                    start,
                    length,
                    [
                        .. Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(open, depth))),
                        .. value,
                        .. Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(close, depth))),
                    ]
                );
            case 4:
                List<(int Start, int Length)> other = spans.Values[random.Next(spans.Values.Count)];
                (from, count) = other[random.Next(other.Count)];
                return count > 100_000 ? json : Splice(json, start, length, json[from..(from + count)]);
            case 5 when long.TryParse(Encoding.UTF8.GetString(value), out long number):
                number = random.Next(6) switch
                {
                    0 => number + 1,
                    1 => number - 1,
                    2 => -number,
                    3 => number * 2,
                    4 => number << 32,
                    _ => random.NextInt64() >> random.Next(64),
                };
                return Splice(
                    json,
                    start,
                    length,
                    Encoding.UTF8.GetBytes(number.ToString(System.Globalization.CultureInfo.InvariantCulture))
                );
            case 6 when value[0] == (byte)'"':
                return Splice(
                    json,
                    start + 1 + random.Next(Math.Max(1, length - 1)),
                    0,
                    Repeated(
                        (string[])["a", "\\u0301", "(", ".*", "𝒳", "/..", "\\ud800"] is var texts
                            ? texts[random.Next(texts.Length)]
                            : "",
                        random
                    )
                );
            case 7 when value[0] == (byte)'[' && length > 2:
                // An array grown by what it holds, many times.
                return length > 1000
                    ? json
                    : Splice(
                        json,
                        start + length - 1,
                        0,
                        [
                            .. Enumerable
                                .Repeat<byte[]>([(byte)',', .. value.AsSpan(1, length - 2)], random.Next(1, 200))
                                .SelectMany(part => part),
                        ]
                    );
            default:
                return Splice(json, start, length, Encoding.UTF8.GetBytes(Hostile[random.Next(Hostile.Length)]));
        }
    }

    private static byte[] Bytes(byte[] valid, int reach, Random random)
    {
        List<byte> bytes = [.. valid];
        for (int times = random.Next(1, 4); times > 0 && bytes.Count > 0; times--)
        {
            int at = random.Next(Math.Min(bytes.Count, reach));
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 20), bytes.Count - at));
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 40), bytes.Count - at)));
                    break;
                case 4:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(Hostile[random.Next(Hostile.Length)]));
                    break;
            }
        }
        return [.. bytes];
    }

    private static byte[] Splice(byte[] bytes, int start, int removed, byte[] put) =>
        [.. bytes.AsSpan(0, start), .. put, .. bytes.AsSpan(start + removed)];

    // Short mostly; a long one now and then.
    private static byte[] Repeated(string text, Random random) =>
        Encoding.UTF8.GetBytes(
            string.Concat(
                Enumerable.Repeat(text, random.Next(8) == 0 ? random.Next(10_000, 30_000) : random.Next(1, 40))
            )
        );
}
