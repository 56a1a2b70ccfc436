using Spectral.Training.IO;

namespace Spectral.Training.Data.Files;

/// <summary>
/// Splits one JSON array into its elements, as bytes, without holding the array in memory. Only brackets, strings and
/// commas are told apart here; an element is checked when it is parsed.
/// </summary>
internal static class JsonArray
{
    private static ReadOnlySpan<byte> Blank => " \t\r\n"u8;

    /// <summary>Returns whether a file begins with an array.</summary>
    public static bool IsAhead(InputBuffer buffer)
    {
        int at = Start(buffer.Ahead);
        while (at == buffer.Ahead.Length && at <= JsonLines.MaximumRecord && buffer.Fill())
            at = Start(buffer.Ahead);
        return at < buffer.Ahead.Length && buffer.Ahead[at] == '[';
    }

    /// <summary>Returns the elements of the array that is ahead.</summary>
    /// <exception cref="InputException">
    /// The array does not end, is followed by something, or has an element that is too long or empty.
    /// </exception>
    public static IEnumerable<RawRecord> Read(InputBuffer buffer, string path)
    {
        buffer.Skip(Start(buffer.Ahead) + 1);
        bool ends = false;
        for (int number = 1; !ends; number++)
        {
            string place = $"{path}, record {number}";
            int length = Next(buffer, place);
            ends = buffer.Ahead[length] == ']';
            if (buffer.First(length).Span.IndexOfAnyExcept(Blank) >= 0)
                yield return new RawRecord(buffer.First(length), place);
            else if (number > 1 || !ends)
                throw new InputException($"{place}: nothing between commas, expected an object");
            buffer.Skip(length + 1);
        }

        do
        {
            if (buffer.Ahead.IndexOfAnyExcept(Blank) >= 0)
                throw new InputException($"{path}: something after the end of the JSON array, expected nothing");
            buffer.Skip(buffer.Ahead.Length);
        } while (buffer.Fill());
    }

    private static int Start(ReadOnlySpan<byte> bytes)
    {
        int mark = bytes.StartsWith("\uFEFF"u8) ? 3 : 0;
        int at = bytes[mark..].IndexOfAnyExcept(Blank);
        return at < 0 ? bytes.Length : mark + at;
    }

    // Returns the number of bytes before the comma or bracket that ends the next element.
    private static int Next(InputBuffer buffer, string place)
    {
        (int at, int depth, bool isText) = (0, 0, false);
        while (true)
        {
            ReadOnlySpan<byte> rest = buffer.Ahead[at..];
            int found = isText ? rest.IndexOfAny("\"\\"u8) : rest.IndexOfAny("\"[]{},"u8);
            if (found < 0 || (rest[found] == '\\' && found + 1 == rest.Length))
            {
                at += found < 0 ? rest.Length : found;
                if (at > JsonLines.MaximumRecord)
                    throw new InputException($"{place}: more than {JsonLines.MaximumRecord} bytes, expected an object");
                if (!buffer.Fill())
                    throw new InputException($"{place}: the file ends within the JSON array, expected ] at its end");
                continue;
            }

            switch (rest[found])
            {
                case (byte)'\\':
                    found++;
                    break;
                case (byte)'"':
                    isText = !isText;
                    break;
                case (byte)'[' or (byte)'{':
                    depth++;
                    break;
                case (byte)']' or (byte)'}' when depth > 0:
                    depth--;
                    break;
                case (byte)']' or (byte)',' when depth == 0:
                    return at + found;
            }
            at += found + 1;
        }
    }
}
