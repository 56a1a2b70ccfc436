using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Models;

namespace Spectral.Training.Traces;

/// <summary>Computes h = a·x of one rank-1 module and keeps its statistics.</summary>
internal sealed class ScalarTrace : IDisposable
{
    private const int MostTop = 10;

    private readonly Tensor _right;
    private readonly double _outputNorm;
    private readonly List<TracedToken> _top = [];
    private double _sum;
    private double _squares;
    private double _magnitudes;
    private long _tokens;

    /// <summary>Uploads a [in]; only the norm of b [out] is kept.</summary>
    public ScalarTrace(string name, float[] left, float[] right, CausalLanguageModel model)
    {
        Name = name;
        _outputNorm = Math.Sqrt(left.Sum(value => (double)value * value));
        _right = Tensor.From(model.Device, right, (1, right.Length), model.DType);
    }

    /// <summary>The name of the layer.</summary>
    public string Name { get; }

    /// <summary>The scalars of the last record, [tokens].</summary>
    public double[] Last { get; private set; } = [];

    /// <summary>Computes the scalars of a record from the layer's input [tokens, in].</summary>
    public void Read(Tensor x)
    {
        using var scalars = Tensor.Empty(x.Device, (x.Dim(0), 1));
        Gemm.Run(x, Gemm.Transposed(_right), scalars);
        Last = Array.ConvertAll(scalars.ToArray(), value => (double)value);
    }

    /// <summary>Adds the scalars of the last record to the statistics.</summary>
    public void Add(int record, int[] tokens)
    {
        for (int position = 0; position < tokens.Length; position++)
        {
            double value = Last[position];
            _sum += value;
            _squares += value * value;
            _magnitudes += Math.Abs(value);
            if (_top.Count == MostTop && Math.Abs(value) <= Math.Abs(_top[^1].Value))
                continue;
            int at = _top.FindIndex(token => Math.Abs(token.Value) < Math.Abs(value));
            _top.Insert(at < 0 ? _top.Count : at, new TracedToken(record, position, tokens[position], value));
            if (_top.Count > MostTop)
                _top.RemoveAt(MostTop);
        }
        _tokens += tokens.Length;
    }

    public TracedModule Result()
    {
        double mean = _sum / _tokens;
        return new TracedModule(
            Name,
            _outputNorm,
            mean,
            Math.Sqrt(Math.Max(0, (_squares / _tokens) - (mean * mean))),
            _magnitudes / _tokens,
            _top.Count == 0 ? double.NaN : Math.Abs(_top[0].Value),
            _top
        );
    }

    public void Dispose() => _right.Dispose();
}
