namespace Spectral.Training;

/// <summary>
/// The first numbers of PyTorch's <c>randperm(count)</c> on the CPU with a seeded generator: an MT19937 (Matsumoto and Nishimura, 1998) and a
/// Fisher-Yates shuffle. PEFT's files name locations by such a seed alone.
/// </summary>
internal static class TorchPermutation
{
    /// <summary>Beyond this many, PyTorch shuffles another way.</summary>
    public const long MaxCount = uint.MaxValue / 20;

    private const int Words = 624;
    private const int Offset = 397;

    /// <summary>The first <paramref name="length"/> of a permutation of 0 … <paramref name="count"/> − 1.</summary>
    public static int[] First(int length, int count, uint seed)
    {
        var (result, moved) = (new int[length], new Dictionary<int, int>());
        using var numbers = Numbers(seed).GetEnumerator();
        for (var i = 0; i < length; i++)
        {
            // The last place has nothing left to be exchanged with, and takes no number.
            var other = i == count - 1 || !numbers.MoveNext() ? i : i + (int)(numbers.Current % (uint)(count - i));
            result[i] = At(other);
            moved[other] = At(i);
        }
        return result;

        int At(int place) => moved.GetValueOrDefault(place, place);
    }

    internal static IEnumerable<uint> Numbers(uint seed)
    {
        var state = new uint[Words];
        state[0] = seed;
        for (var i = 1; i < Words; i++)
            state[i] = 1812433253 * (state[i - 1] ^ (state[i - 1] >> 30)) + (uint)i;
        for (var at = 0; ; at = (at + 1) % Words)
        {
            var joined = (state[at] & 0x80000000) | (state[(at + 1) % Words] & 0x7fffffff);
            var value = state[at] = state[(at + Offset) % Words] ^ (joined >> 1) ^ ((joined & 1) * 0x9908b0df);
            value ^= value >> 11;
            value ^= (value << 7) & 0x9d2c5680;
            value ^= (value << 15) & 0xefc60000;
            yield return value ^ (value >> 18);
        }
    }
}
