using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Optim;

namespace Spectral.Training.Merging;

/// <summary>
/// The merged model on the device while a method learns how to merge: weights that the method sets, and the gradients
/// of a loss on batches of each list of records.
/// </summary>
/// <remarks>Weights and gradients are F32, 8 bytes a parameter.</remarks>
internal sealed class MergeTraining : IDisposable
{
    private readonly MergeRun _run;
    private readonly CausalLanguageModel _model;
    private readonly ParameterSet _weights;
    private readonly Dictionary<string, Parameter> _byName;
    private readonly MergeBatches _batches;

    /// <summary>Loads the base onto the device, to start from.</summary>
    public MergeTraining(MergeRun run)
    {
        _run = run;
        _model = CausalLanguageModel.Of(run.ResultConfig, run.Device, trainWeights: true, name => run.BaseValues(name));
        _weights = _model.Trainable!;
        _weights.EnableGradients();
        _byName = _weights.Parameters.ToDictionary(parameter => parameter.Name);
        _batches = new MergeBatches(run);
    }

    /// <summary>Sets all weights of the tensors that are merged.</summary>
    /// <param name="values">Returns the values of a tensor.</param>
    public void Set(Func<MergeTensor, float[]> values)
    {
        _run.Scan(tensor => _byName[tensor.Name].Master.CopyFrom(values(tensor)));
        _weights.NotifyChanged();
    }

    /// <summary>
    /// Computes the gradients of the mean loss of tokens, or of the mean entropy of their predictions, on the next
    /// batch of each list, and returns the sum of the means.
    /// </summary>
    /// <exception cref="InputException">The loss is not finite.</exception>
    public double Differentiate(bool ofEntropy) => _batches.Differentiate(_model, ofEntropy);

    /// <summary>Copies the gradient of a tensor to the host.</summary>
    public float[] Gradient(string tensor) => _byName[tensor].Gradient!.ToArray();

    public void Dispose() => _model.Dispose();
}
