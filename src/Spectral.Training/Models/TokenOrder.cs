using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>
/// The positions of a batch sorted by token, so that the embedding's gradient is summed in a fixed order. The arrays
/// have the size of the batch however many tokens are distinct, so that a captured step can be given other tokens.
/// </summary>
public sealed class TokenOrder : IDisposable
{
    private const int None = -1; // an id without a row, which is ignored

    /// <summary>Sorts the tokens and copies the order to the device.</summary>
    /// <param name="device">The device to copy to.</param>
    /// <param name="tokens">The tokens; −1 for positions whose gradient is not needed.</param>
    public TokenOrder(Device device, int[] tokens)
    {
        Order = Tensor.Empty(device, tokens.Length, DType.I32);
        Segments = Tensor.Empty(device, tokens.Length + 1, DType.I32);
        Ids = Tensor.Empty(device, tokens.Length, DType.I32);
        Update(tokens);
    }

    /// <summary>The positions sorted by token, equal tokens in order of position; [N] I32.</summary>
    public Tensor Order { get; }

    /// <summary>
    /// The index in <see cref="Order"/> at which each token's positions begin, and N after the last; [N + 1] I32.
    /// </summary>
    public Tensor Segments { get; }

    /// <summary>The distinct tokens, ascending, followed by −1; [N] I32.</summary>
    public Tensor Ids { get; }

    /// <summary>Replaces the tokens with those of another batch of the same size.</summary>
    public void Update(int[] tokens)
    {
        int[] order = new int[tokens.Length];
        for (int i = 0; i < order.Length; i++)
            order[i] = i;
        int[] keys = (int[])tokens.Clone();
        Array.Sort(keys, order);
        int[] ids = new int[tokens.Length];
        int[] segments = new int[tokens.Length + 1];
        Array.Fill(ids, None);
        Array.Fill(segments, tokens.Length);
        int distinct = 0;
        for (int i = 0; i < keys.Length; i++)
        {
            if (i > 0 && keys[i] == keys[i - 1])
                continue;
            (ids[distinct], segments[distinct]) = (keys[i], i);
            distinct++;
        }
        // Array.Sort is not stable. Positions are sorted within each id, so that sums do not depend on its algorithm.
        for (int s = 0; s < distinct; s++)
            Array.Sort(order, segments[s], segments[s + 1] - segments[s]);
        Order.CopyFrom(order);
        Segments.CopyFrom(segments);
        Ids.CopyFrom(ids);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Order.Dispose();
        Segments.Dispose();
        Ids.Dispose();
    }
}
