namespace Spectral.Training.Models;

/// <summary>Describes a norm of a model.</summary>
/// <param name="Name">The path of the module, such as <c>model.layers.0.input_layernorm</c>.</param>
/// <param name="Size">The number of features in a row that it normalises.</param>
/// <param name="Form">What it computes.</param>
internal sealed record NormSpec(string Name, int Size, NormForm Form)
{
    /// <summary>The name of the weight's tensor.</summary>
    public string Weight => Name + ".weight";

    /// <summary>The name of the bias's tensor.</summary>
    public string Bias => Name + ".bias";

    /// <summary>The tensors of the norm, which start as the norm without a change.</summary>
    public IEnumerable<TensorSpec> Tensors
    {
        get
        {
            yield return new TensorSpec(Weight, [Size]) { Start = 1 - Form.WeightOffset };
            if (Form.HasBias)
                yield return new TensorSpec(Bias, [Size]);
        }
    }
}
