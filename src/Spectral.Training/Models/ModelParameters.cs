using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Distributed.Sharding;
using Spectral.Training.IO;
using Spectral.Training.Numerics;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;

namespace Spectral.Training.Models;

/// <summary>
/// The weights of a model by name: frozen ones in the compute type, or trainable ones with masters in one set.
/// </summary>
internal sealed class ModelParameters : IDisposable
{
    /// <summary>
    /// The number of elements converted at a time while loading and saving. It bounds the host memory for a huge
    /// embedding.
    /// </summary>
    private const int Piece = 1 << 22;

    private readonly Dictionary<string, Parameter> _byName = [];

    private ModelParameters(
        Device device,
        IReadOnlyList<(string Name, Shape Shape)> tensors,
        DType dtype,
        bool trains,
        Func<string, QuantizedMatrix?>? quantized = null
    )
    {
        Trained = trains ? new ParameterSet(device, tensors, dtype) : null;
        try
        {
            foreach (Parameter parameter in Trained?.Parameters ?? tensors.Select(Frozen))
                _byName.Add(parameter.Name, parameter);
        }
        catch
        {
            Dispose();
            throw;
        }

        Parameter Frozen((string Name, Shape Shape) tensor) =>
            quantized?.Invoke(tensor.Name) is { } matrix
                ? new Parameter(tensor.Name, matrix, dtype)
                : new Parameter(tensor.Name, Tensor.Empty(device, tensor.Shape, dtype));
    }

    /// <summary>Takes ownership of weights of which each rank keeps a part.</summary>
    /// <param name="parameters">The weights.</param>
    /// <param name="trained">This rank's parts of all of them, if they train.</param>
    /// <param name="shards">What gathers them.</param>
    internal ModelParameters(IEnumerable<Parameter> parameters, ParameterSet? trained, ShardedWeights shards)
    {
        (_byName, Trained, Shards) = (parameters.ToDictionary(parameter => parameter.Name), trained, shards);
    }

    /// <summary>All trainable weights; null if they are frozen.</summary>
    public ParameterSet? Trained { get; }

    /// <summary>What gathers the weights from all ranks; null: all of them are here.</summary>
    public ShardedWeights? Shards { get; }

    public IEnumerable<Parameter> All => _byName.Values;

    public Parameter this[string name] => _byName[name];

    /// <summary>Creates a linear layer on the weights that its description names.</summary>
    public Linear CreateLinear(LinearSpec linear) =>
        new(linear.Name, this[linear.Weight], linear.HasBias ? this[linear.Bias] : null);

    /// <summary>Creates a norm on the weights that its description names.</summary>
    public Norm CreateNorm(ModelConfig config, NormSpec norm) =>
        new(
            norm.Form,
            [.. norm.Weights.Select(weight => this[weight])],
            norm.Form.HasBias ? this[norm.Bias] : null,
            (float)config.RmsNormEpsilon
        );

    public static ModelParameters Load(ModelFolder folder, Device device, DType dtype, bool trains)
    {
        var parameters = new ModelParameters(
            device,
            Tensors(folder.Config),
            dtype,
            trains,
            trains ? null : name => folder.ReadQuantized(folder.Untied(name), device)
        );
        float[] buffer = new float[Piece];
        foreach (Parameter parameter in parameters.All.Where(parameter => !parameter.IsQuantized))
        {
            SafetensorsTensor stored = folder[parameter.Name];
            using Tensor flat = parameter.Master.View(checked((int)parameter.Master.Count));
            for (long start = 0; start < stored.Count; start += Piece)
            {
                Span<float> part = buffer.AsSpan(0, (int)Math.Min(Piece, stored.Count - start));
                stored.ReadFloats(start, part);
                using Tensor target = flat.Rows((int)start, part.Length);
                target.CopyFrom(part);
            }
        }
        parameters.Trained?.NotifyChanged();
        return parameters;
    }

    /// <summary>Creates parameters with F32 values that are asked for by name, one tensor at a time.</summary>
    public static ModelParameters Of(
        ModelConfig config,
        Device device,
        DType dtype,
        bool trains,
        Func<string, float[]> values
    )
    {
        var parameters = new ModelParameters(device, Tensors(config), dtype, trains);
        try
        {
            foreach (Parameter parameter in parameters.All)
                parameter.Master.CopyFrom(values(parameter.Name));
        }
        catch
        {
            parameters.Dispose();
            throw;
        }
        parameters.Trained?.NotifyChanged();
        return parameters;
    }

    public static ModelParameters Initialize(ModelConfig config, Device device, DType dtype, ulong seed, bool trains)
    {
        var parameters = new ModelParameters(device, Tensors(config), dtype, trains);
        foreach (TensorSpec tensor in ModelTensors.For(config))
            Draw(tensor, parameters[tensor.Name].Master, seed, config);
        parameters.Trained?.NotifyChanged();
        return parameters;
    }

    /// <summary>Creates parameters whose values are those of fresh memory.</summary>
    public static ModelParameters Unset(
        ModelConfig config,
        Device device,
        DType dtype,
        bool trains,
        BaseQuantization? quantization
    )
    {
        IReadOnlySet<string> quantized =
            quantization is null || trains ? new HashSet<string>() : ModelTensors.Quantizable(config);
        var shapes = ModelTensors.For(config).ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        return new(
            device,
            Tensors(config),
            dtype,
            trains,
            name => quantized.Contains(name) ? quantization!.Unset(shapes[name], device) : null
        );
    }

    public void Save(ModelConfig config, DType dtype, string directory, string? tokenizerSource)
    {
        StoredType stored = dtype == DType.BF16 ? StoredType.BF16 : StoredType.F32;
        IReadOnlySet<string> transposed = ModelTensors.Transposed(config);
        IEnumerable<TensorToWrite> tensors = All.Select(parameter =>
        {
            long[] shape = parameter.Shape.Dimensions();
            var tensor = TensorToWrite.Floats(parameter.Name, stored, shape, parameter.ToArray);
            return transposed.Contains(parameter.Name) ? tensor.Transposed() : tensor;
        });
        SafetensorsWriter.Write(
            Path.Combine(directory, "model.safetensors"),
            [.. tensors],
            new Dictionary<string, string> { ["format"] = "pt" }
        );
        config.Save(directory);
        if (tokenizerSource is not null)
            ModelCompanions.Copy(tokenizerSource, directory);
    }

    public void Dispose()
    {
        foreach (Parameter parameter in All)
            parameter.Dispose();
        Trained?.Dispose();
        Shards?.Dispose();
    }

    /// <summary>Writes the values with which a tensor of a new model starts.</summary>
    internal static void Draw(TensorSpec tensor, Tensor destination, ulong seed, ModelConfig config)
    {
        if (tensor.Start != 0)
            destination.CopyFrom(Enumerable.Repeat(tensor.Start, (int)destination.Count).ToArray());
        else if (destination.Shape.Rank == 2)
            DrawNormal(destination, seed, RandomStream.For(tensor.Name), (float)config.InitializerRange);
        else
            destination.Clear();
    }

    private static void DrawNormal(Tensor destination, ulong seed, ulong stream, float deviation)
    {
        using Tensor drawn =
            destination.DType == DType.F32 ? destination.Share() : Tensor.Empty(destination.Device, destination.Shape);
        Philox.Normal(drawn, seed, stream, 0, deviation);
        if (destination.DType != DType.F32)
            Cast.Run(drawn, destination);
    }

    private static IReadOnlyList<(string, Shape)> Tensors(ModelConfig config) =>
        [
            .. ModelTensors
                .For(config)
                .Select(tensor =>
                    (tensor.Name, Shape.Of([.. tensor.Shape.Select(dimension => checked((int)dimension))]))
                ),
        ];
}
