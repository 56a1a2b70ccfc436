using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Quantization;

namespace Spectral.Training.Merging;

/// <summary>
/// Quantises the linear layers of the decoder layers of a merged model while it is written. Head, embedding, norms,
/// biases and the routers of experts stay as they are.
/// </summary>
internal sealed class QuantizedOutput : IDisposable
{
    private readonly WeightQuantizer _quantizer;
    private readonly ModelConfig _config;
    private readonly IReadOnlySet<string> _weights;

    /// <summary>Checks that a model's weights can be written so.</summary>
    /// <param name="model">The base of the merge.</param>
    /// <param name="device">The device to quantise on.</param>
    /// <param name="quantization">The format of the codes, and whether to quantise scales too.</param>
    /// <exception cref="InputException">The format is not written, or not for this family of models.</exception>
    public QuantizedOutput(ModelFolder model, Device device, BaseQuantization quantization)
    {
        _config = model.Config;
        _weights = ModelTensors.Quantizable(_config);
        if (ModelTensors.Transposed(_config).FirstOrDefault(_weights.Contains) is { } other)
        {
            throw new InputException(
                $"{model.Directory}: {other} has rows and columns exchanged in files of {_config.ModelType} models, "
                    + "which is not written quantised"
            );
        }

        Format = quantization.Format;
        _quantizer = new WeightQuantizer(device, quantization.Format, quantization.Double);
    }

    /// <summary>The format of the codes.</summary>
    public WeightFormat Format { get; }

    /// <inheritdoc cref="WeightQuantizer.RelativeError"/>
    public double RelativeError => _quantizer.RelativeError;

    /// <inheritdoc cref="WeightQuantizer.Count"/>
    public int Count => _quantizer.Count;

    /// <summary>Returns whether a tensor is quantised.</summary>
    public bool Takes(string name) => _weights.Contains(name);

    /// <summary>Returns the tensors that a weight is written as.</summary>
    /// <param name="source">The weight in the base.</param>
    /// <param name="dense">Its values in the result, in F32.</param>
    /// <param name="isChanged">Whether they differ from those in the base.</param>
    /// <param name="type">The type that it would have if it were not quantised; null: that of the base.</param>
    public IEnumerable<TensorToWrite> Tensors(
        SafetensorsTensor source,
        TensorToWrite dense,
        bool isChanged,
        StoredType? type
    ) =>
        (!isChanged && source.Computed is StoredWeight stored ? _quantizer.Same(stored) : null)
        ?? _quantizer.Quantize(dense, type ?? source.Type);

    /// <summary>Makes the settings for <c>config.json</c>.</summary>
    /// <param name="type">The type of what is not quantised; null: that of the base.</param>
    public JsonObject Settings(StoredType? type)
    {
        string head = ModelTensors.ModuleOf(_config.HeadWeight);
        IEnumerable<LinearSpec> routers = ModelTensors.Linears(_config).Where(linear => linear.IsRouter);
        return _quantizer.Settings(
            type ?? TorchTypes.Find(_config.WeightType) ?? StoredType.BF16,
            [head, .. routers.Select(router => router.Name)]
        );
    }

    /// <inheritdoc/>
    public void Dispose() => _quantizer.Dispose();
}
