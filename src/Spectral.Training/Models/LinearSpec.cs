namespace Spectral.Training.Models;

/// <summary>
/// A linear layer of a model: <c>y = x Wᵀ (+ bias)</c> with <c>W [Outputs, Inputs]</c>; an adapter can be attached to
/// it.
/// </summary>
/// <param name="Name">Module path, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Outputs">Rows of the weight.</param>
/// <param name="Inputs">Columns of the weight.</param>
/// <param name="HasBias">Whether there is a bias.</param>
public sealed record LinearSpec(string Name, int Outputs, int Inputs, bool HasBias)
{
    /// <summary>The weight's tensor name.</summary>
    public string Weight => Name + ".weight";

    /// <summary>The bias' tensor name.</summary>
    public string Bias => Name + ".bias";
}
