using Spectral.Kernels;

namespace Spectral.Training.Models;

/// <summary>
/// The cosines and sines of the rotary position embedding (Su et al., "RoFormer", 2021) for a model's config.
/// </summary>
/// <remarks>
/// The tables are computed on the host in double. They grow by doubling as longer sequences appear, so that a steady
/// run allocates nothing. Replaced tables are kept, at most half the size of the new ones, because a captured step
/// reads those it was captured with. Scalings whose angles depend on the length of the sequence have tables for each
/// length that differs.
/// </remarks>
public sealed class RotaryTables : IDisposable
{
    private readonly Device _device;
    private readonly ModelConfig _config;
    private readonly int _unrotated;
    private readonly Dictionary<Kind, RotaryTable> _tables = [];
    private readonly List<Tensor> _all = [];

    /// <summary>Creates tables that are computed when they are first asked for.</summary>
    /// <param name="device">The device of the tables.</param>
    /// <param name="config">The model's config.</param>
    /// <param name="unrotated">The number of first positions that stay as they are: cosine 1, sine 0.</param>
    internal RotaryTables(Device device, ModelConfig config, int unrotated = 0) =>
        (_device, _config, _unrotated) = (device, config, unrotated);

    /// <summary>
    /// Returns tables [P, n] F32 for n pairs with P ≥ <paramref name="positions"/> for the queries and the keys of a
    /// layer. Those of the queries contain the model's factor on the scores. They are valid as long as this object.
    /// </summary>
    /// <param name="layer">The number of the layer.</param>
    /// <param name="positions">The length of the sequence.</param>
    public (RotaryTable Queries, RotaryTable Keys) For(int layer, int positions)
    {
        bool rotates = _config.Rotates(layer);
        RotaryAngles? angles = rotates ? _config.RotaryOf(layer) : null;
        int length = angles?.Representative(positions) ?? 1;
        // Attention itself divides by √hd.
        double factor = _config.AttentionMultiplier is { } given ? given * Math.Sqrt(_config.HeadDimension) : 1;
        return (Of(new Kind(angles, length, factor)), Of(new Kind(angles, length, 1)));

        RotaryTable Of(Kind kind)
        {
            bool exists = _tables.TryGetValue(kind, out RotaryTable table);
            if (!exists || table.Cosine.Dim(0) < positions)
                _tables[kind] = table = Build(kind, Math.Max(positions, 2 * (exists ? table.Cosine.Dim(0) : 64)));
            return table;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor table in _all)
            table.Dispose();
    }

    private RotaryTable Build(Kind kind, int positions)
    {
        double amplitude = kind.Angles?.Amplitude ?? 1;
        int half = _config.RotaryDimension / 2;
        float[] frequencies = kind.Angles?.Frequencies(_config.RotaryDimension, kind.Length) ?? new float[half];
        float[] cosine = new float[positions * half];
        float[] sine = new float[positions * half];
        for (int p = 0; p < positions; p++)
        {
            for (int i = 0; i < half; i++)
            {
                (double s, double c) = Math.SinCos(p * (double)frequencies[i]);
                cosine[p * half + i] = p < _unrotated ? 1 : (float)(amplitude * kind.Factor * c);
                sine[p * half + i] = p < _unrotated ? 0 : (float)(amplitude * kind.Factor * s);
            }
        }

        var table = new RotaryTable(
            Tensor.From(_device, cosine, (positions, half)),
            Tensor.From(_device, sine, (positions, half)),
            _config.Family.InterleavesRotary,
            (float)kind.Factor
        );
        _all.AddRange([table.Cosine, table.Sine]);
        return table;
    }

    /// <summary>
    /// What tables differ by: the angles, null where nothing turns, for sequences of which length, and the factor on
    /// all features.
    /// </summary>
    private readonly record struct Kind(RotaryAngles? Angles, int Length, double Factor);
}
