namespace Spectral.Training.Models;

/// <summary>The mixtures of experts of a model: which layers have one, and how tokens are spread over them.</summary>
public sealed record ExpertsConfig
{
    /// <summary>The largest number of experts in a layer that a config may name.</summary>
    internal const int Most = 1 << 12;

    /// <summary>The number of experts in a layer, E.</summary>
    public required int Count { get; init; }

    /// <summary>The number of experts that each token goes to, k ≤ E.</summary>
    public required int PerToken { get; init; }

    /// <summary>
    /// The width of an expert; null: <see cref="ModelConfig.IntermediateSize"/>, which layers without experts have.
    /// </summary>
    public int? IntermediateSize { get; init; }

    /// <summary>
    /// Whether the weights of a token's experts are divided by their sum; otherwise they are the probabilities.
    /// </summary>
    public bool NormalisesWeights { get; init; }

    /// <summary>Whether each layer has experts, otherwise one feed-forward layer; null: all have.</summary>
    public IReadOnlyList<bool>? Layers { get; init; }

    /// <summary>The factor of the loss that balances the load of the experts (<c>router_aux_loss_coef</c>).</summary>
    public double BalanceCoefficient { get; init; }

    /// <summary>Whether that loss is added in training (<c>output_router_logits</c>).</summary>
    public bool AddsBalanceLoss { get; init; }

    /// <summary>Returns whether a layer has experts.</summary>
    public bool In(int layer) => Layers?[layer] ?? true;
}
