using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Calibration;

/// <summary>
/// Computes the leading principal components of a stream of rows, batch by batch (Ross, Lim, Lin and Yang, "Incremental
/// Learning for Robust Visual Tracking", 2008). The SVD of [diag(S)·V; X − m_b; √(n·n_b/(n + n_b))·(m − m_b)] replaces
/// S and V, where X has n_b rows with mean m_b, after n rows with mean m.
/// </summary>
/// <remarks>
/// Between batches the state is on the host, 4·k·features bytes: 128 inputs of a 7B model at k = 16 are 50 MB. A batch
/// costs one truncated SVD of [k + n_b + 1, features]. Deterministic.
/// </remarks>
internal sealed class IncrementalPca : LinearObserver
{
    private readonly string _name;
    private readonly int _components;
    private readonly double _similarity;
    private readonly Func<Tensor> _rows;
    private readonly double[] _mean;
    private float[] _vectors = [];
    private float[] _values = [];
    private long _seen;
    private double _total; // sum of squares around the mean over all components

    /// <summary>Starts without any rows.</summary>
    /// <param name="name">The layer, for messages and random numbers.</param>
    /// <param name="features">The number of columns of the rows.</param>
    /// <param name="components">The number k of components.</param>
    /// <param name="similarity">
    /// The smallest |cosine| between a component before and after a batch at which it counts as converged.
    /// </param>
    /// <param name="rows">Returns the rows of the current batch that count, I32.</param>
    public IncrementalPca(string name, int features, int components, double similarity, Func<Tensor> rows)
    {
        (_name, _components, _similarity, _rows) = (name, components, similarity, rows);
        _mean = new double[features];
    }

    /// <summary>Whether a batch has changed no component noticeably. Later batches are ignored then.</summary>
    public bool Converged { get; private set; }

    /// <summary>Returns the components so far.</summary>
    public InputDirections Result() =>
        new(
            _mean.Length,
            _vectors,
            _values,
            [.. _values.Select(value => _total > 0 ? (double)value * value / _total : 0)],
            Converged
        );

    public override void Forward(Tensor x)
    {
        if (Converged)
            return;
        (Tensor rows, int kept) = (_rows(), _values.Length);
        int count = rows.Dim(0);
        using var stacked = Tensor.Empty(x.Device, (kept + count + 1, _mean.Length));
        Stack(x, rows, stacked);
        using (Tensor fresh = stacked.Rows(kept, count + 1))
        {
            double norm = MatrixScan.Run(fresh).FrobeniusNorm;
            if (!double.IsFinite(norm))
                throw new InputException($"calibration: the input of {_name} is not finite");
            _total += norm * norm;
        }
        var options = new RandomizedSvdOptions { Stream = RandomStream.For(_name) };
        using SvdResult svd = Svd.Compute(
            stacked,
            Math.Min(_components, Math.Min(stacked.Dim(0), stacked.Dim(1))),
            SvdMethod.Auto,
            options
        );
        float[] vectors = svd.Vt.ToArray();
        _values = svd.S.ToArray();
        Converged =
            _seen > 0
            && kept == _values.Length
            && Enumerable.Range(0, kept).All(i => _values[i] == 0 || Cosine(i, vectors) >= _similarity);
        _vectors = vectors;
        _seen += count;
    }

    /// <summary>Fills the matrix whose SVD is the new state, and updates the mean.</summary>
    private void Stack(Tensor x, Tensor index, Tensor stacked)
    {
        (int features, int count, int kept) = (_mean.Length, index.Dim(0), _values.Length);
        float[] before = new float[_vectors.Length];
        for (int i = 0; i < before.Length; i++)
            before[i] = _values[i / features] * _vectors[i];
        using (Tensor top = stacked.Rows(0, kept))
            top.CopyFrom(before);

        using Tensor batch = stacked.Rows(kept, count);
        using var mean = Tensor.Empty(x.Device, features);
        using (var gathered = Tensor.Empty(x.Device, (count, features), x.DType))
        {
            Rows.Gather(x, index, gathered);
            Cast.Run(gathered, batch);
        }
        BiasGradient.Run(batch, mean, accumulate: false); // sums of columns
        Scale.Run(mean, -1f / count);
        AddBias.Run(batch, mean);

        double weight = Math.Sqrt((double)_seen * count / (_seen + count));
        float[] correction = mean.ToArray();
        for (int i = 0; i < features; i++)
        {
            double difference = -correction[i] - _mean[i];
            correction[i] = (float)(weight * difference);
            _mean[i] += difference * count / (_seen + count);
        }
        using Tensor last = stacked.Rows(kept + count, 1);
        last.CopyFrom(correction);
    }

    private double Cosine(int component, float[] vectors)
    {
        (int from, double dot) = (component * _mean.Length, 0.0);
        for (int i = from; i < from + _mean.Length; i++)
            dot += (double)_vectors[i] * vectors[i];
        return Math.Abs(dot);
    }
}
