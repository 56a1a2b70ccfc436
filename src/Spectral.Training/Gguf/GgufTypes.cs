using Spectral.Training.IO;

namespace Spectral.Training.Gguf;

/// <summary>What ggml and llama.cpp know about the types of matrices.</summary>
internal static class GgufTypes
{
    /// <summary>Returns the number of the type in ggml (<c>ggml_type</c>).</summary>
    public static uint Code(this GgufType type) =>
        type switch
        {
            GgufType.F32 => 0,
            GgufType.F16 => 1,
            GgufType.Q8 => 8,
            _ => 30,
        };

    /// <summary>Returns llama.cpp's number of a file whose matrices have the type (<c>llama_ftype</c>).</summary>
    public static uint FileCode(this GgufType type) =>
        type switch
        {
            GgufType.F32 => 0,
            GgufType.F16 => 1,
            GgufType.Q8 => 7,
            _ => 32,
        };

    /// <summary>Returns the name on the command line, in lower case.</summary>
    public static string Name(this GgufType type) => type == GgufType.Q8 ? "q8_0" : type.ToString().ToLowerInvariant();

    /// <summary>Returns the number of bytes of so many values, which fill whole blocks.</summary>
    public static long Bytes(this GgufType type, long count) =>
        type switch
        {
            GgufType.F32 => checked(4 * count),
            GgufType.Q8 => checked(count / Q8Block.Values * Q8Block.Bytes),
            _ => checked(2 * count),
        };

    /// <summary>Returns the type that keeps values of a type of safetensors. F64 becomes F32.</summary>
    public static GgufType Of(StoredType type) =>
        type switch
        {
            StoredType.F16 => GgufType.F16,
            StoredType.BF16 => GgufType.BF16,
            _ => GgufType.F32,
        };
}
