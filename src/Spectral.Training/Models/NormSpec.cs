namespace Spectral.Training.Models;

/// <summary>Describes a norm of a model.</summary>
/// <param name="Name">The path of the module, such as <c>model.layers.0.input_layernorm</c>.</param>
/// <param name="Size">The number of features in a row that it normalises.</param>
/// <param name="Form">What it computes.</param>
internal sealed record NormSpec(string Name, int Size, NormForm Form)
{
    /// <summary>
    /// The number of heads that have weights of their own, of which each is normalised by itself; null: all rows share
    /// the weights.
    /// </summary>
    public int? Heads { get; init; }

    /// <summary>Whether files have a module for each head; otherwise one tensor has the weights of all.</summary>
    public bool HasModulePerHead { get; init; }

    /// <summary>The name of the weight's tensor, where it is a single one.</summary>
    public string Weight => Name + ".weight";

    /// <summary>The names of the weight's tensors: one, or one for each head.</summary>
    public IReadOnlyList<string> Weights =>
        HasModulePerHead
            ? [.. Enumerable.Range(0, Heads ?? 0).Select(head => $"{Name}.norms.{head}.weight")]
            : [Weight];

    /// <summary>The name of the bias's tensor.</summary>
    public string Bias => Name + ".bias";

    /// <summary>The tensors of the norm, which start as the norm without a change.</summary>
    public IEnumerable<TensorSpec> Tensors
    {
        get
        {
            IReadOnlyList<long> shape = Heads is { } heads && !HasModulePerHead ? [heads, Size] : [Size];
            foreach (string weight in Weights)
                yield return new TensorSpec(weight, shape) { Start = 1 - Form.WeightOffset };
            if (Form.HasBias)
                yield return new TensorSpec(Bias, [Size]);
        }
    }
}
