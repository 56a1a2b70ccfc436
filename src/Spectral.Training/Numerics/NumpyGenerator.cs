namespace Spectral.Training.Numerics;

/// <summary>
/// Reproduces NumPy's <c>default_rng(seed)</c>, a PCG64 (O'Neill, "PCG: A Family of Simple Fast Space-Efficient
/// Statistically Good Algorithms for Random Number Generation", 2014), and the ways in which <c>choice</c> without
/// replacement and <c>shuffle</c> use it. PEFT's files specify places only by such a seed.
/// </summary>
internal sealed class NumpyGenerator
{
    private const int PoolWords = 4;

    // choice shuffles all numbers up to its end if there are more than this and it takes more than one in so many.
    private const int LargestSet = 10000;
    private const int FewestShare = 50;

    private static readonly UInt128 Multiplier = new(2549297995355413924, 4865540595714422341);

    private readonly UInt128 _increment;
    private UInt128 _state;
    private uint? _upper;

    /// <summary>Creates a generator in the state in which NumPy's begins.</summary>
    /// <param name="seed">The seed.</param>
    public NumpyGenerator(ulong seed)
    {
        ulong[] words = StateOf(seed);
        _increment = new UInt128(words[2], words[3]) << 1 | 1;
        Step();
        _state += new UInt128(words[0], words[1]);
        Step();
    }

    /// <summary>Returns the next 64 random bits.</summary>
    public ulong Next()
    {
        Step();
        ulong folded = (ulong)(_state >> 64) ^ (ulong)_state;
        return ulong.RotateRight(folded, (int)(_state >> 122));
    }

    /// <summary>
    /// Returns <paramref name="size"/> different numbers below <paramref name="count"/> in random order, as
    /// <c>choice(count, size, replace=False)</c> does.
    /// </summary>
    /// <param name="count">The number of numbers to choose from.</param>
    /// <param name="size">How many are chosen, at most as many.</param>
    public int[] Choose(int count, int size)
    {
        if (count > LargestSet && size > count / FewestShare)
        {
            int[] all = [.. Enumerable.Range(0, count)];
            Exchange(all, Math.Max(count - size, 1), Bounded);
            return all[(count - size)..];
        }

        // Floyd's algorithm (Bentley and Floyd, "A Sample of Brilliance", 1987).
        HashSet<int> taken = [];
        int[] chosen = new int[size];
        for (int last = count - size; last < count; last++)
        {
            int drawn = (int)Bounded((uint)last);
            chosen[last - count + size] = taken.Add(drawn) ? drawn : last;
            taken.Add(chosen[last - count + size]);
        }
        Exchange(chosen, 1, Bounded);
        return chosen;
    }

    /// <summary>Puts numbers in random order, as <c>shuffle</c> does with an array of one dimension.</summary>
    public void Shuffle(Span<int> values) => Exchange(values, 1, Masked);

    private static void Exchange(Span<int> values, int first, Func<uint, uint> draw)
    {
        for (int i = values.Length - 1; i >= first; i--)
        {
            int other = (int)draw((uint)i);
            (values[i], values[other]) = (values[other], values[i]);
        }
    }

    /// <summary>
    /// Returns a number from 0 to <paramref name="most"/> as the upper half of a product (Lemire, "Fast Random Integer
    /// Generation in an Interval", 2019).
    /// </summary>
    private uint Bounded(uint most)
    {
        if (most == 0)
            return 0;
        uint count = most + 1;
        uint threshold = (uint.MaxValue - most) % count;
        ulong product;
        do
        {
            product = (ulong)NextHalf() * count;
        } while ((uint)product < threshold);
        return (uint)(product >> 32);
    }

    /// <summary>Returns a number from 0 to <paramref name="most"/>: bits are drawn until they are no larger.</summary>
    private uint Masked(uint most)
    {
        if (most == 0)
            return 0;
        uint mask = uint.MaxValue >> (int)uint.LeadingZeroCount(most);
        uint value;
        do
        {
            value = NextHalf() & mask;
        } while (value > most);
        return value;
    }

    /// <summary>Returns 32 random bits: the lower half of 64, then the upper one.</summary>
    private uint NextHalf()
    {
        if (_upper is { } kept)
        {
            _upper = null;
            return kept;
        }
        ulong next = Next();
        _upper = (uint)(next >> 32);
        return (uint)next;
    }

    private void Step() => _state = _state * Multiplier + _increment;

    /// <summary>
    /// Returns the four words that NumPy's SeedSequence makes of a seed (O'Neill, "Developing a seed_seq Alternative",
    /// 2015).
    /// </summary>
    private static ulong[] StateOf(ulong seed)
    {
        uint[] entropy = seed > uint.MaxValue ? [(uint)seed, (uint)(seed >> 32)] : [(uint)seed];
        uint[] pool = new uint[PoolWords];
        uint hash = 0x43b0d7e5;
        for (int i = 0; i < pool.Length; i++)
            pool[i] = Hashed(i < entropy.Length ? entropy[i] : 0);
        for (int from = 0; from < pool.Length; from++)
        {
            for (int to = 0; to < pool.Length; to++)
            {
                if (from != to)
                    pool[to] = Mixed(pool[to], Hashed(pool[from]));
            }
        }

        uint[] halves = new uint[2 * PoolWords];
        uint factor = 0x8b51f9dd;
        for (int i = 0; i < halves.Length; i++)
        {
            uint value = pool[i % pool.Length] ^ factor;
            factor *= 0x58f38ded;
            value *= factor;
            halves[i] = value ^ value >> 16;
        }
        return [.. Enumerable.Range(0, PoolWords).Select(i => (ulong)halves[2 * i + 1] << 32 | halves[2 * i])];

        uint Hashed(uint value)
        {
            value ^= hash;
            hash *= 0x931e8875;
            value *= hash;
            return value ^ value >> 16;
        }

        static uint Mixed(uint x, uint y)
        {
            uint value = 0xca01f9dd * x - 0x4973f715 * y;
            return value ^ value >> 16;
        }
    }
}
