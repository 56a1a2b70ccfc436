using System.Globalization;
using System.Numerics.Tensors;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>A whole checkpoint that was tuned from the base.</summary>
internal sealed class CheckpointSource : MergeSource
{
    /// <summary>
    /// Tuning leaves the cosine between a weight and what it becomes near 1; of weights trained apart it is near 0.
    /// </summary>
    private const double LeastCosine = 0.5;

    private readonly ModelFolder _model;
    private readonly ModelFolder _folder;
    private readonly Lazy<string?> _doubt;

    /// <summary>Opens the checkpoint and checks that it has the base's tensors and no others.</summary>
    /// <exception cref="InputException">It is malformed, or not of the base's architecture and size.</exception>
    public CheckpointSource(ModelFolder model, string directory)
    {
        _model = model;
        _folder = ModelFolder.Open(directory);
        _doubt = new Lazy<string?>(FindDoubt);
        try
        {
            RequireTensorsOf(model, _folder);
        }
        catch
        {
            Dispose();
            throw;
        }
        Parts = model.Config.TieWordEmbeddings && !_folder.Config.TieWordEmbeddings;
    }

    public override string Directory => _folder.Directory;

    public override IReadOnlyList<string> Warnings => _folder.Warnings;

    public override string? Doubt => _doubt.Value;

    public override bool Parts { get; }

    public override bool Changes(string tensor) => true;

    public override InputTensor Open(string tensor) => InputTensor.OfValues(_folder.Untied(tensor));

    public override void Dispose() => _folder.Dispose();

    /// <summary>Checks that a checkpoint has the tensors of another, of the same shapes, and no others.</summary>
    /// <exception cref="InputException">It does not; the message names the first that differs.</exception>
    public static void RequireTensorsOf(ModelFolder model, ModelFolder other)
    {
        if (other.Config.ModelType != model.Config.ModelType)
        {
            throw new InputException(
                $"{other.Directory}: a model of type {other.Config.ModelType}, expected {model.Config.ModelType} as "
                    + $"{model.Directory}; was it tuned from another base?"
            );
        }

        var shapes = ModelTensors.Untied(model.Config).ToDictionary(tensor => tensor.Name, tensor => tensor.Shape);
        foreach (TensorSpec own in ModelTensors.Untied(other.Config))
        {
            if (!shapes.Remove(own.Name, out IReadOnlyList<long>? wanted))
            {
                throw new InputException(
                    $"{other.Directory}: has a tensor {own.Name}, which {model.Directory} does not have; was it tuned "
                        + "from another base?"
                );
            }

            if (!own.Shape.SequenceEqual(wanted))
            {
                throw new InputException(
                    $"{other.Directory}: tensor {own.Name} is {InputText.Shape([.. own.Shape])}, expected "
                        + $"{InputText.Shape([.. wanted])} as in {model.Directory}"
                );
            }
        }

        if (shapes.Count > 0)
        {
            throw new InputException(
                $"{other.Directory}: no tensor {shapes.Keys.First()}, which {model.Directory} has; was it tuned from "
                    + "another base?"
            );
        }
    }

    /// <summary>Compares a weight of two layers: a checkpoint does not say what it was tuned from.</summary>
    private string? FindDoubt()
    {
        LinearSpec[] layers = [.. ModelTensors.Linears(_model.Config)];
        string[] names = [layers[0].Weight, layers[^1].Weight];
        double largest = names.Max(name =>
            (double)
                TensorPrimitives.CosineSimilarity<float>(
                    _model.Untied(name).ToFloats(),
                    _folder.Untied(name).ToFloats()
                )
        );
        return largest >= LeastCosine
            ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{Directory}: was it tuned from {_model.Directory}? the cosine between their weights is at most "
                    + $"{largest:0.00} in {names[0]} and {names[1]}; of tuned models it is near 1"
            );
    }
}
