using System.Runtime.InteropServices;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Puts 64-bit words on a device: addresses of the matrices of a batch, or streams of their random numbers.
/// </summary>
internal static class AddressTable
{
    /// <summary>Copies the words into a new tensor [2 · words] I32, each word as the device stores it.</summary>
    public static Tensor Upload(Device device, ReadOnlySpan<ulong> words) =>
        Tensor.From(device, MemoryMarshal.Cast<ulong, int>(words), 2 * words.Length);
}
