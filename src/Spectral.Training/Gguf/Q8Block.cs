using System.Buffers.Binary;

namespace Spectral.Training.Gguf;

/// <summary>
/// ggml's block of type Q8_0, as its reference quantiser rounds it: the scale d = max∣x∣ / 127 in half precision, then
/// 32 signed bytes round(x / d), of which the division is by the F32 scale and a half rounds away from zero.
/// </summary>
internal static class Q8Block
{
    /// <summary>The number of values in a block.</summary>
    public const int Values = 32;

    /// <summary>The number of bytes of a block.</summary>
    public const int Bytes = 2 + Values;

    private const int Largest = 127;

    /// <summary>Writes a block of finite values. Returns false if its scale exceeds half precision.</summary>
    public static bool TryWrite(ReadOnlySpan<float> values, Span<byte> block)
    {
        float most = 0;
        foreach (float value in values)
            most = Math.Max(most, Math.Abs(value));
        float scale = most / Largest;
        float inverse = scale == 0 ? 0 : 1 / scale;
        // The scale of tiny values is subnormal, so that its inverse overflows; such a block is zero in half precision.
        if (float.IsInfinity(inverse))
            inverse = 0;
        var half = (Half)scale;
        BinaryPrimitives.WriteHalfLittleEndian(block, half);
        for (int i = 0; i < Values; i++)
            block[2 + i] = (byte)(sbyte)MathF.Round(values[i] * inverse, MidpointRounding.AwayFromZero);
        return Half.IsFinite(half);
    }
}
