namespace Spectral.Kernels.Tests.Support;

/// <summary>Sequences of several records each, of random lengths.</summary>
internal static class JoinedRecords
{
    /// <summary>
    /// Returns of each position the first of its record and the one after its last, [batch · length · 2].
    /// </summary>
    public static int[] Spans(int batch, int length, Random random)
    {
        int[] spans = new int[2 * batch * length];
        for (int b = 0; b < batch; b++)
        {
            for (int start = 0; start < length; )
            {
                int count = Math.Min(length - start, start == 0 ? 1 + length / 3 : random.Next(1, 1 + length / 2));
                for (int i = start; i < start + count; i++)
                    (spans[2 * (b * length + i)], spans[2 * (b * length + i) + 1]) = (start, start + count);
                start += count;
            }
        }
        return spans;
    }
}
