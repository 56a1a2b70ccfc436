using System.Buffers.Binary;

namespace Spectral.Kernels;

/// <summary>
/// Tells the kinds of module images apart, and whether one is whole: a driver takes images without their length and
/// would read on behind the end of one that is cut short.
/// </summary>
internal static class ModuleImage
{
    private const uint FatbinMagic = 0xBA55ED50;
    private const uint FatbinWrapperMagic = 0x466243B1;
    private const int FatbinHeader = 16;
    private const uint ElfMagic = 0x464C457F; // 7F E L F
    private const int ElfHeader = 64;
    private const int ElfCubin = 190; // EM_CUDA

    /// <summary>Names the kind of an image.</summary>
    /// <exception cref="ArgumentException">It is none that a driver loads, or it is cut short.</exception>
    public static string Describe(ReadOnlySpan<byte> image)
    {
        ReadOnlySpan<byte> text = image.TrimStart(" \t\r\n"u8);
        if (!text.IsEmpty && (text[0] == '.' || text[0] == '/')) // a directive or a comment
            return image.TrimEnd((byte)0).Contains((byte)0) ? throw Wrong("PTX with a zero character") : "PTX";
        uint magic = image.Length >= sizeof(uint) ? BinaryPrimitives.ReadUInt32LittleEndian(image) : 0;
        switch (magic)
        {
            case FatbinMagic:
                RequireAll("a fatbin", image.Length, FatbinBytes(image));
                return "a fatbin";
            case ElfMagic:
                bool isCubin = image.Length >= 20 && BinaryPrimitives.ReadUInt16LittleEndian(image[18..]) == ElfCubin;
                string kind = isCubin ? "a cubin" : "a library of kernels";
                RequireAll(kind, image.Length, ElfBytes(image));
                return kind;
            case FatbinWrapperMagic:
                throw Wrong("the wrapper of a fatbin, which holds the address of the fatbin in its process");
            default:
                throw Wrong(image.IsEmpty ? "nothing" : $"{image.Length} bytes of something else");
        }
    }

    private static UInt128 FatbinBytes(ReadOnlySpan<byte> image) =>
        image.Length < FatbinHeader
            ? FatbinHeader
            : (UInt128)BinaryPrimitives.ReadUInt16LittleEndian(image[6..])
                + BinaryPrimitives.ReadUInt64LittleEndian(image[8..]);

    // A linker writes the table of sections last.
    private static UInt128 ElfBytes(ReadOnlySpan<byte> image) =>
        image.Length < ElfHeader
            ? ElfHeader
            : (UInt128)BinaryPrimitives.ReadUInt64LittleEndian(image[40..])
                + (UInt128)BinaryPrimitives.ReadUInt16LittleEndian(image[58..])
                    * BinaryPrimitives.ReadUInt16LittleEndian(image[60..]);

    private static void RequireAll(string kind, int found, UInt128 expected)
    {
        if ((UInt128)found < expected)
            throw new ArgumentException($"{kind} is cut short: its header says {expected} bytes, found {found}");
    }

    private static ArgumentException Wrong(string found) =>
        new($"a module is PTX text, a cubin or a fatbin, found {found}");
}
