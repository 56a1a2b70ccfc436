namespace Spectral.Training.Models;

/// <summary>Describes a linear layer of a model: <c>y = x Wᵀ (+ bias)</c> with <c>W [Outputs, Inputs]</c>.</summary>
/// <param name="Name">The path of the module, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Outputs">The number of rows of the weight.</param>
/// <param name="Inputs">The number of columns of the weight.</param>
/// <param name="HasBias">Whether there is a bias.</param>
public sealed record LinearSpec(string Name, int Outputs, int Inputs, bool HasBias)
{
    /// <summary>Whether files have the weight as [Inputs, Outputs], as those of GPT-2's Conv1D.</summary>
    internal bool IsTransposed { get; init; }

    /// <summary>
    /// Whether it chooses among experts. It is small and its errors change the choice, so that it is never quantised.
    /// </summary>
    internal bool IsRouter { get; init; }

    /// <summary>The name of the weight's tensor.</summary>
    public string Weight => Name + ".weight";

    /// <summary>The name of the bias's tensor.</summary>
    public string Bias => Name + ".bias";
}
