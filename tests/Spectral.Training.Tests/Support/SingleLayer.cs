using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Models;
using Spectral.Training.Numerics;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Support;

/// <summary>
/// One linear layer with an adapter, run as a model runs it: its weight seen through an input of all unit vectors.
/// </summary>
internal sealed class SingleLayer : IDisposable
{
    private readonly Device _device;
    private readonly Parameter _weight;
    private readonly Parameter? _bias;
    private readonly Linear _layer;
    private readonly BoundFactors _factors;
    private readonly PackedAdapters _packed;

    /// <summary>Attaches a fresh adapter to a layer with random weights.</summary>
    /// <param name="device">Where.</param>
    /// <param name="method">The method.</param>
    /// <param name="options">Its settings.</param>
    /// <param name="rows">Output features.</param>
    /// <param name="columns">Input features.</param>
    /// <param name="hasBias">Whether the layer has a bias.</param>
    public SingleLayer(
        Device device,
        AdapterMethod method,
        AdapterOptions options,
        int rows,
        int columns,
        bool hasBias = false
    )
    {
        _device = device;
        options.CheckSettings(method);
        var random = new Random(rows * 100 + columns);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)(random.NextDouble() - 0.5);
        Weight = Dense.Of(rows, columns, Array.ConvertAll(values, value => (double)value));
        float[] bias = [.. Enumerable.Range(0, hasBias ? rows : 0).Select(_ => (float)(random.NextDouble() - 0.5))];
        Bias = Array.ConvertAll(bias, value => (double)value);
        Module = AdaptedModule.Describe(method, options, [new ModuleShape("layer", rows, columns, hasBias)])[0];
        _factors = new BoundFactors(device, [Module]);
        _weight = new Parameter("layer.weight", Tensor.From(device, values, (rows, columns)));
        _bias = hasBias ? new Parameter("layer.bias", Tensor.From(device, bias, rows)) : null;
        _layer = new Linear("layer", _weight, _bias);
        Module.BindBase(_layer);
        Fill(copies: false);
        method.BeginAll([new AdapterStart(Module.Shape, _weight, Module.Factors, options)]);
        Fill(copies: true);
        _factors.Trained.EnableGradients();
        _packed = new PackedAdapters(
            _layer.Siblings,
            new Dictionary<string, AdaptedModule> { ["layer"] = Module },
            DType.F32
        );
        _packed.Attach(_layer.Siblings);

        void Fill(bool copies)
        {
            foreach (Factor factor in Module.AllFactors.Where(factor => factor.Start.IsCopy == copies))
                factor.Start.Fill(factor.Parameter.Master, options.Seed, RandomStream.For(Module.FullName(factor)));
        }
    }

    /// <summary>W of the base.</summary>
    public Dense Weight { get; }

    /// <summary>b of the base; empty without one.</summary>
    public double[] Bias { get; }

    public AdaptedModule Module { get; }

    /// <summary>What trains.</summary>
    public IReadOnlyList<Parameter> Trained => _factors.Trained.Parameters;

    /// <summary>The values of all factors, by their names in a file.</summary>
    public Dictionary<string, double[]> Values() =>
        Module.Factors.ToDictionary(
            factor => factor.Key,
            factor => Array.ConvertAll(TestAdapters.Numbers(factor.Value), value => (double)value)
        );

    /// <summary>Adds random numbers in ∓<paramref name="size"/>/2 to everything that trains.</summary>
    public void Disturb(int seed, double size)
    {
        var random = new Random(seed);
        foreach (Parameter parameter in Trained)
        {
            parameter.Master.CopyFrom(
                Array.ConvertAll(
                    parameter.Master.ToArray(),
                    value => value + (float)(size * (random.NextDouble() - 0.5))
                )
            );
        }

        Module.Core.Refresh(all: false);
    }

    /// <summary>The weight that forward computes with; leaves in the factors' gradients those of Σ G∘W'.</summary>
    public Dense Run(Dense? direction = null)
    {
        using var tape = new Tape(_device);
        using var x = new Variable(
            Tensor.From(
                _device,
                Array.ConvertAll(Dense.Identity(Weight.Columns).Values, value => (float)value),
                (Weight.Columns, Weight.Columns)
            )
        );
        using Variable y = LinearNode.Apply(tape, x, _layer);
        var transposed = Dense.Of(
            Weight.Columns,
            Weight.Rows,
            Array.ConvertAll(y.Value.ToArray(), value => (double)value)
        );
        if (direction is { } g)
        {
            y.Node!.Accumulate(
                Tensor.From(_device, Array.ConvertAll(g.Transposed.Values, value => (float)value), y.Value.Shape)
            );
            tape.Backward();
        }
        return transposed.Transposed;
    }

    public void Dispose()
    {
        _packed.Dispose();
        _factors.Dispose();
        _weight.Dispose();
        _bias?.Dispose();
    }
}
