namespace Spectral.Training.Generation;

/// <summary>How to continue a prompt.</summary>
public sealed record GenerationOptions
{
    /// <summary>At most this many new tokens.</summary>
    public int MaxTokens { get; init; } = 64;

    /// <summary>The tokens that end the text; null: those that the model's config names.</summary>
    public IReadOnlyList<int>? EndTokenIds { get; init; }

    /// <summary>0 = always the most probable token; else logits are divided by it before sampling.</summary>
    public double Temperature { get; init; }

    /// <summary>
    /// Sample among the most probable tokens that together reach this probability (Holtzman et al., 2020).
    /// </summary>
    public double TopP { get; init; } = 1;

    /// <summary>Seed of the sampling. Which number decides which token: <see cref="SamplingDraws"/>.</summary>
    public ulong Seed { get; init; }
}
