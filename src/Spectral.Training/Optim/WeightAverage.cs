using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// Keeps an exponential moving average of the F32 masters of a <see cref="ParameterSet"/>:
/// θ̄ ← d_t θ̄ + (1 − d_t) θ after the t-th update, with d_t = min(decay, (1 + t) / (10 + t)), so that the start values
/// are soon forgotten in a short run.
/// </summary>
/// <remarks>
/// Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, with weights that decay. Each
/// factor of an adapter is averaged by itself: the product of averaged factors is not the average of their products.
/// The average takes as much memory as the masters, and twice as much while <see cref="Use"/> is in effect.
/// </remarks>
/// <example>
/// <code>
/// using AdamWOptimizer optimizer = new(adapter.Parameters, new AdamWOptions());
/// using WeightAverage average = new(adapter.Parameters, decay: 0.999);
/// if (!optimizer.Step(learningRate: 1e-3).Skipped)
///     average.Update();
/// using (average.Use())
///     adapter.Save(adapterPath);
/// </code>
/// </example>
public sealed class WeightAverage : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly double _decay;
    private readonly List<Tensor> _values = [];
    private readonly MasterExchange _exchange;

    /// <summary>Begins an average with the current masters.</summary>
    /// <param name="parameters">The parameters to average, which the caller keeps ownership of.</param>
    /// <param name="decay">The share of the average that stays at each update, from 0 to below 1.</param>
    /// <exception cref="ArgumentException">The decay is out of range.</exception>
    public WeightAverage(ParameterSet parameters, double decay)
    {
        if (decay is not (>= 0 and < 1))
            throw new ArgumentException($"a decay of {decay}, expected a number from 0 to below 1", nameof(decay));
        (_parameters, _decay, _exchange) = (parameters, decay, new MasterExchange(parameters));
        _values.AddRange(parameters.Masters.Select(MasterExchange.Copy));
        parameters.Moved += Move;
    }

    /// <summary>The averages, F32, parallel to <see cref="ParameterSet.Masters"/>.</summary>
    public IReadOnlyList<Tensor> Values => _values;

    /// <summary>The number of updates made.</summary>
    public long Updates { get; internal set; }

    /// <summary>Moves the average towards the current masters. Does not wait for the device.</summary>
    /// <exception cref="InvalidOperationException">The masters hold the average itself.</exception>
    public void Update()
    {
        _exchange.RequireUnused();
        Updates++;
        double decay = Math.Min(_decay, (1.0 + Updates) / (10.0 + Updates));
        foreach ((Tensor value, Tensor master) in _values.Zip(_parameters.Masters))
            Combine.Run(value, (float)decay, master, (float)(1 - decay), value);
    }

    /// <summary>
    /// Puts the average into the masters, to evaluate or save it. Disposing the returned value brings back what they
    /// held before; without that they keep the average.
    /// </summary>
    /// <exception cref="InvalidOperationException">The masters hold the average already.</exception>
    public IDisposable Use() =>
        _exchange.Use(() =>
        {
            foreach ((Tensor master, Tensor value) in _parameters.Masters.Zip(_values))
                master.CopyFrom(value);
        });

    /// <inheritdoc/>
    public void Dispose()
    {
        _parameters.Moved -= Move;
        foreach (Tensor tensor in _values)
            tensor.Dispose();
        _exchange.Dispose();
    }

    /// <summary>A new element's average begins with its value.</summary>
    private void Move(MovedElements moved)
    {
        float[] current = moved.Parameter.Master.ToArray();
        using Tensor values = _parameters.PartOf(_values, moved.Index);
        moved.Apply(values, k => current[k]);
    }
}
