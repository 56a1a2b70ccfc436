using System.Text;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The byte-level alphabet, which writes each byte of UTF-8 text as one printable character. Printable characters of
/// Latin-1 stand for themselves. The other 68 bytes, in increasing order, are U+0100, U+0101, …
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = new char[256];
    private static readonly Dictionary<char, byte> Bytes = [];

    static ByteAlphabet()
    {
        int next = 256;
        for (int value = 0; value < 256; value++)
        {
            Characters[value] = value is >= 33 and <= 126 or >= 161 and <= 172 or >= 174 ? (char)value : (char)next++;
            Bytes.Add(Characters[value], (byte)value);
        }
    }

    /// <summary>Returns the UTF-8 bytes of a text, each as its character.</summary>
    public static string Encode(ReadOnlySpan<char> text)
    {
        byte[] utf8 = new byte[TextNormalizer.Bounded(Encoding.UTF8.GetByteCount(text))];
        int length = Encoding.UTF8.GetBytes(text, utf8);
        return string.Create(
            length,
            utf8,
            static (characters, bytes) =>
            {
                for (int i = 0; i < characters.Length; i++)
                    characters[i] = Characters[bytes[i]];
            }
        );
    }

    /// <summary>
    /// Appends the bytes of a token. A token with a character outside the alphabet stands for its own UTF-8 bytes.
    /// </summary>
    public static void Decode(string token, List<byte> bytes)
    {
        int before = bytes.Count;
        foreach (char character in token)
        {
            if (Bytes.TryGetValue(character, out byte value))
            {
                bytes.Add(value);
                continue;
            }
            bytes.RemoveRange(before, bytes.Count - before);
            bytes.AddRange(Encoding.UTF8.GetBytes(token));
            return;
        }
    }
}
