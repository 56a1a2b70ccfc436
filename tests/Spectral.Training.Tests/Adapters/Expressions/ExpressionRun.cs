using Spectral.Kernels;
using Spectral.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>A case on a device, its inputs factors with random values.</summary>
internal sealed class ExpressionRun : IDisposable
{
    private readonly Tensor _direction;
    private readonly ExpressionGraph _graph;
    private readonly ParameterSet _trained;
    private readonly Factor[] _factors;
    private readonly List<Parameter> _frozen = [];

    public ExpressionRun(Device device, ExpressionCase test, int? trains = null, long kept = long.MaxValue)
    {
        var random = new Random(5);
        Values = [.. test.Inputs.Select(shape => Array.ConvertAll(Normal(shape.Count), value => (double)value))];
        _factors =
        [
            .. test.Inputs.Select(
                (shape, i) => new Factor($"x{i}", shape, trains is null || trains == i, Start.Zeros, false)
            ),
        ];
        _trained = new ParameterSet(
            device,
            _factors.Where(factor => factor.Trains).Select(factor => (factor.Name, factor.Shape))
        );
        _trained.EnableGradients();
        int next = 0;
        foreach ((Factor factor, double[] values) in _factors.Zip(Values))
        {
            if (factor.Trains)
                factor.Parameter = _trained.Parameters[next++];
            else
                _frozen.Add(factor.Parameter = new Parameter(factor.Name, Tensor.Empty(device, factor.Shape)));
            factor.Parameter.Master.CopyFrom(Array.ConvertAll(values, value => (float)value));
        }
        Output = test.Build([.. _factors]);
        _graph = new ExpressionGraph([Output], kept);
        float[] direction = Normal(Output.Shape.Count);
        Direction = Array.ConvertAll(direction, value => (double)value);
        _direction = Tensor.From(device, direction, Output.Shape);

        float[] Normal(long count) => [.. Enumerable.Range(0, (int)count).Select(_ => (float)random.NextNormal())];
    }

    public double[][] Values { get; }

    public double[] Direction { get; }

    public Expression Output { get; }

    /// <summary>Forward and backward, as once per optimizer step.</summary>
    public void Step() => Step(clear: true);

    /// <inheritdoc cref="Step()"/>
    public void Step(bool clear)
    {
        if (clear)
            _trained.ClearGradients();
        _graph.Renew();
        _ = Output.Value;
        _graph.Trim();
        Output.GradientBuffer(out _)!.CopyFrom(_direction);
        _graph.Backward();
    }

    public float[][] Gradients() => [.. _factors.Select(factor => factor.Parameter.Gradient?.ToArray() ?? [])];

    /// <summary>Other values for all factors.</summary>
    public void Change()
    {
        foreach ((Factor factor, int i) in _factors.Select((factor, i) => (factor, i)))
        {
            Values[i] = Array.ConvertAll(Values[i], value => (double)(float)(0.9 * value));
            factor.Parameter.Master.CopyFrom(Array.ConvertAll(Values[i], value => (float)value));
        }
    }

    public void Dispose()
    {
        _graph.Clear();
        _direction.Dispose();
        foreach (Parameter parameter in _frozen)
            parameter.Dispose();
        _trained.Dispose();
    }
}
