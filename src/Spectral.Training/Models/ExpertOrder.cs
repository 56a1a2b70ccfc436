using System.Buffers;
using System.Runtime.InteropServices;
using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>
/// The tokens in the order of the experts that they go to: those of the first expert, then those of the next, in each
/// by their position.
/// </summary>
/// <remarks>
/// Products take their number of rows from the host, which therefore has to wait for the router. It then sorts too: it
/// counts N·k numbers, which takes less time than the wait.
/// </remarks>
internal sealed class ExpertOrder : IDisposable
{
    private ExpertOrder(Tensor tokens, Tensor places, IReadOnlyList<Part> parts) =>
        (Tokens, Places, Parts) = (tokens, places, parts);

    /// <summary>The token of each row, [N·k] I32.</summary>
    public Tensor Tokens { get; }

    /// <summary>The row of each token's experts, [N, k] I32.</summary>
    public Tensor Places { get; }

    /// <summary>The experts that have rows, in order.</summary>
    public IReadOnlyList<Part> Parts { get; }

    /// <summary>Sorts the choices of a router. Waits for the device.</summary>
    /// <param name="index">The experts of each token, [N, k] I32.</param>
    /// <param name="experts">The number of experts.</param>
    /// <param name="balance">The loss that counts the choices; null: none.</param>
    public static ExpertOrder Of(Tensor index, int experts, RouterBalance? balance)
    {
        (int tokens, int k) = (index.Dim(0), index.Dim(1));
        int count = checked(tokens * k);
        int[] buffer = ArrayPool<int>.Shared.Rent(3 * count);
        try
        {
            Span<int> chosen = buffer.AsSpan(0, count);
            Span<int> sorted = buffer.AsSpan(count, count);
            Span<int> places = buffer.AsSpan(2 * count, count);
            index.CopyTo(MemoryMarshal.AsBytes(chosen));
            // A rehearsal chooses nothing: as if the router spread the tokens evenly.
            for (int i = 0; i < count && index.Device.IsRehearsal; i++)
                chosen[i] = i % experts;
            balance?.Count(chosen);
            int[] next = new int[experts + 1];
            foreach (int expert in chosen)
                next[expert + 1]++;
            List<Part> parts = [];
            for (int expert = 0; expert < experts; expert++)
            {
                if (next[expert + 1] > 0)
                    parts.Add(new Part(expert, next[expert], next[expert + 1]));
                next[expert + 1] += next[expert];
            }
            for (int i = 0; i < count; i++)
            {
                int place = next[chosen[i]]++;
                (places[i], sorted[place]) = (place, i / k);
            }
            return new ExpertOrder(
                Tensor.From(index.Device, sorted, count),
                Tensor.From(index.Device, places, (tokens, k)),
                parts
            );
        }
        finally
        {
            ArrayPool<int>.Shared.Return(buffer);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Tokens.Dispose();
        Places.Dispose();
    }

    /// <summary>The rows of one expert.</summary>
    /// <param name="Expert">The number of the expert.</param>
    /// <param name="From">The first of its rows.</param>
    /// <param name="Count">The number of its rows, at least 1.</param>
    internal readonly record struct Part(int Expert, int From, int Count)
    {
        /// <summary>Returns these rows of a matrix, by a handle of their own.</summary>
        public Tensor Of(Tensor rows) => rows.Rows(From, Count);
    }
}
