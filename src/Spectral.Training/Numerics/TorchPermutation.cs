namespace Spectral.Training.Numerics;

/// <summary>
/// Computes the first numbers of PyTorch's <c>randperm(count)</c> on the CPU with a seeded
/// <see cref="TorchGenerator"/>, a Fisher-Yates shuffle. PEFT's files specify locations only by such a seed.
/// </summary>
internal static class TorchPermutation
{
    /// <summary>The largest count for which PyTorch uses this shuffle.</summary>
    public const long MaxCount = uint.MaxValue / 20;

    /// <summary>
    /// Returns the first <paramref name="length"/> numbers of a permutation of 0 … <paramref name="count"/> − 1.
    /// </summary>
    public static int[] First(int length, int count, uint seed)
    {
        (int[] result, Dictionary<int, int> moved) = (new int[length], new Dictionary<int, int>());
        var generator = new TorchGenerator(seed);
        for (int i = 0; i < length; i++)
        {
            // The last place can be exchanged with no other, and uses up no random number.
            int other = i == count - 1 ? i : i + (int)(generator.Next() % (uint)(count - i));
            result[i] = At(other);
            moved[other] = At(i);
        }
        return result;

        int At(int place) => moved.GetValueOrDefault(place, place);
    }
}
