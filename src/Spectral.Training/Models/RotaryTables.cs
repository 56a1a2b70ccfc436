using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>
/// The cosines and sines of the rotary position embedding (Su et al., "RoFormer", 2021) for a model's config.
/// </summary>
/// <remarks>
/// The tables are computed on the host in double. They grow by doubling as longer sequences appear, so that a steady
/// run allocates nothing. Replaced tables are kept, at most half the size of the new ones, because a captured step
/// reads those it was captured with.
/// </remarks>
public sealed class RotaryTables : IDisposable
{
    private readonly Device _device;
    private readonly float[] _frequencies;
    private readonly int _unrotated;
    private readonly List<Tensor> _tables = [];
    private Tensor? _cosine;
    private Tensor? _sine;

    /// <summary>Creates tables that are computed when they are first asked for.</summary>
    /// <param name="device">The device of the tables.</param>
    /// <param name="config">The model's config.</param>
    /// <param name="unrotated">The number of first positions that are not rotated: cosine 1, sine 0.</param>
    internal RotaryTables(Device device, ModelConfig config, int unrotated = 0)
    {
        _device = device;
        _unrotated = unrotated;
        _frequencies = config.RotaryFrequencies();
    }

    /// <summary>
    /// Returns tables [P, hd/2] F32 with P ≥ <paramref name="positions"/>. They are valid as long as this object.
    /// </summary>
    public (Tensor Cosine, Tensor Sine) For(int positions)
    {
        if (_cosine is null || _cosine.Dim(0) < positions)
            Build(Math.Max(positions, 2 * (_cosine?.Dim(0) ?? 64)));
        return (_cosine!, _sine!);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor table in _tables)
            table.Dispose();
    }

    private void Build(int positions)
    {
        int half = _frequencies.Length;
        float[] cosine = new float[positions * half];
        float[] sine = new float[positions * half];
        for (int p = 0; p < positions; p++)
        {
            for (int i = 0; i < half; i++)
            {
                (double s, double c) = p < _unrotated ? (0, 1) : Math.SinCos(p * (double)_frequencies[i]);
                cosine[p * half + i] = (float)c;
                sine[p * half + i] = (float)s;
            }
        }

        _cosine = Tensor.From(_device, cosine, (positions, half));
        _sine = Tensor.From(_device, sine, (positions, half));
        _tables.AddRange([_cosine, _sine]);
    }
}
