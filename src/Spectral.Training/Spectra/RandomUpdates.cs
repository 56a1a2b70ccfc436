using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>
/// Draws updates with the size of a given one and no structure. Each depends only on the seed, the tensor's name and
/// its number.
/// </summary>
internal sealed class RandomUpdates(string name, HostMatrix update, Device device, ulong seed)
{
    private readonly double _norm = Math.Sqrt(update.SquaredNorm());

    /// <summary>Draws independent Gaussian entries, scaled to the same Frobenius norm.</summary>
    public HostMatrix Gaussian(int draw)
    {
        using var normal = Tensor.Empty(device, (update.Rows, update.Columns));
        Philox.Normal(normal, seed, RandomStream.For($"{name}/gaussian/{draw}"));
        var drawn = HostMatrix.From(normal.ToArray(), update.Rows, update.Columns);
        double scale = _norm / Math.Sqrt(drawn.SquaredNorm());
        for (int i = 0; i < drawn.Values.Length; i++)
            drawn.Values[i] *= scale;
        return drawn;
    }

    /// <summary>Returns the same entries in random places (Fisher-Yates).</summary>
    public HostMatrix Permuted(int draw)
    {
        ulong stream = RandomStream.For($"{name}/permuted/{draw}") ^ seed;
        double[] entries = [.. update.Values];
        new Random((int)(stream ^ (stream >> 32))).Shuffle(entries);
        return new HostMatrix(update.Rows, update.Columns, entries);
    }
}
