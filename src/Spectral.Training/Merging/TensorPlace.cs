using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>A tensor's place in its model.</summary>
/// <param name="Name">The name of the tensor.</param>
/// <param name="Layer">The number of its decoder layer, from 0; null: outside of the layers.</param>
/// <param name="IsLinear">Whether it is the weight [out, in] of a linear layer within a decoder layer.</param>
internal readonly record struct TensorPlace(string Name, int? Layer, bool IsLinear)
{
    /// <summary>Returns the places of all tensors that a model uses, by name.</summary>
    public static Dictionary<string, TensorPlace> Of(ModelConfig config)
    {
        var places = ModelTensors
            .For(config)
            .ToDictionary(tensor => tensor.Name, tensor => new TensorPlace(tensor.Name, null, false));
        for (int layer = 0; layer < config.Layers; layer++)
        {
            foreach (TensorSpec tensor in config.Family.Norms(config, layer).SelectMany(norm => norm.Tensors))
                places[tensor.Name] = new TensorPlace(tensor.Name, layer, false);
            foreach (LinearSpec linear in config.Family.Linears(config, layer))
            {
                places[linear.Weight] = new TensorPlace(linear.Weight, layer, true);
                if (linear.HasBias)
                    places[linear.Bias] = new TensorPlace(linear.Bias, layer, false);
            }
        }
        return places;
    }
}
