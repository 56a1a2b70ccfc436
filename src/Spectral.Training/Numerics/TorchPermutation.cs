namespace Spectral.Training.Numerics;

/// <summary>
/// The first numbers of PyTorch's <c>randperm(count)</c> on the CPU with a seeded <see cref="TorchGenerator"/>: a
/// Fisher-Yates shuffle. PEFT's files name locations by such a seed alone.
/// </summary>
internal static class TorchPermutation
{
    /// <summary>Beyond this many, PyTorch shuffles another way.</summary>
    public const long MaxCount = uint.MaxValue / 20;

    /// <summary>The first <paramref name="length"/> of a permutation of 0 … <paramref name="count"/> − 1.</summary>
    public static int[] First(int length, int count, uint seed)
    {
        (int[] result, Dictionary<int, int> moved) = (new int[length], new Dictionary<int, int>());
        var generator = new TorchGenerator(seed);
        for (int i = 0; i < length; i++)
        {
            // The last place has nothing left to be exchanged with, and takes no number.
            int other = i == count - 1 ? i : i + (int)(generator.Next() % (uint)(count - i));
            result[i] = At(other);
            moved[other] = At(i);
        }
        return result;

        int At(int place) => moved.GetValueOrDefault(place, place);
    }
}
