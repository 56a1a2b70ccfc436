using Spectral.Kernels;

namespace Spectral.Training.Numerics;

/// <summary>
/// Reproduces PyTorch's random generator on the CPU: an MT19937 (Matsumoto and Nishimura, 1998) and the ways in which
/// <c>uniform_</c> and <c>normal_</c> use it. PEFT's files specify frozen random tensors only by a seed, so that they
/// have to be reproduced bit for bit.
/// </summary>
/// <param name="seed">The seed as given to <c>manual_seed</c>, of which the lower 32 bits count.</param>
internal sealed class TorchGenerator(long seed)
{
    private const int Words = 624;
    private const int Offset = 397;

    // The number of elements in a vector: the normal distribution pairs each element of the first half with one of the
    // second.
    private const int Block = 16;

    private readonly uint[] _state = Start((uint)seed);
    private int _at;
    private double? _nextNormal;

    /// <summary>Returns the next 32 random bits.</summary>
    public uint Next()
    {
        int following = _at + 1 == Words ? 0 : _at + 1;
        uint joined = (_state[_at] & 0x80000000) | (_state[following] & 0x7fffffff);
        uint value = _state[(_at + Offset) % Words] ^ (joined >> 1) ^ ((joined & 1) * 0x9908b0df);
        _state[_at] = value;
        _at = following;
        value ^= value >> 11;
        value ^= (value << 7) & 0x9d2c5680;
        value ^= (value << 15) & 0xefc60000;
        return value ^ (value >> 18);
    }

    /// <summary>Draws an F32 tensor, uniform between two numbers, with 24 random bits each.</summary>
    public float[] Uniform(int count, double from, double to)
    {
        (float low, float width) = ((float)from, (float)to - (float)from);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = (float)((Next() & 0xffffff) * Math.ScaleB(1, -24) * width + low);
        return values;
    }

    /// <summary>
    /// Draws a BF16 tensor, uniform between two numbers: 8 random bits each, with every step rounded to BF16.
    /// </summary>
    public float[] UniformBFloat16(int count, double from, double to)
    {
        float low = BFloat16.Round((float)from);
        float width = BFloat16.Round(BFloat16.Round((float)to) - low);
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = BFloat16.Round((Next() & 0xff) * (1 / 256f) * width + low);
        return values;
    }

    /// <summary>
    /// Draws an F32 tensor from N(0, deviation²). It equals PyTorch's up to rounding, because PyTorch's logarithm and
    /// cosine depend on the processor.
    /// </summary>
    public float[] Normal(int count, double deviation)
    {
        if (count < Block)
            return [.. Enumerable.Range(0, count).Select(_ => (float)(NextNormal() * deviation))];
        float[] values = Uniform(count, 0, 1);
        for (int at = 0; at <= count - Block; at += Block)
            Transform(values.AsSpan(at, Block), (float)deviation);
        if (count % Block != 0)
        {
            // The last block overlaps the one before and is drawn again.
            Uniform(Block, 0, 1).CopyTo(values, count - Block);
            Transform(values.AsSpan(count - Block), (float)deviation);
        }
        return values;
    }

    /// <summary>
    /// Applies the transform of Box and Muller (1958): element i and the one half a block further give two values.
    /// </summary>
    private static void Transform(Span<float> block, float deviation)
    {
        for (int i = 0; i < Block / 2; i++)
        {
            float radius = MathF.Sqrt(-2 * MathF.Log(1 - block[i]));
            float angle = 2 * MathF.PI * block[i + Block / 2];
            block[i] = radius * MathF.Cos(angle) * deviation;
            block[i + Block / 2] = radius * MathF.Sin(angle) * deviation;
        }
    }

    /// <summary>
    /// Draws one value of a small tensor in F64. The second value of a pair is kept for the next call.
    /// </summary>
    private double NextNormal()
    {
        if (_nextNormal is { } kept)
        {
            _nextNormal = null;
            return kept;
        }
        (double angle, double chance) = (2 * Math.PI * NextDouble(), NextDouble());
        double radius = Math.Sqrt(-2 * Math.Log(1 - chance));
        _nextNormal = radius * Math.Sin(angle);
        return radius * Math.Cos(angle);
    }

    private double NextDouble()
    {
        ulong upper = Next();
        return ((upper << 32 | Next()) & ((1UL << 53) - 1)) * Math.ScaleB(1, -53);
    }

    private static uint[] Start(uint seed)
    {
        uint[] state = new uint[Words];
        state[0] = seed;
        for (int i = 1; i < Words; i++)
            state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >> 30)) + (uint)i;
        return state;
    }
}
