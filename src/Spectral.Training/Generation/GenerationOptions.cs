namespace Spectral.Training.Generation;

/// <summary>The settings for continuing a prompt.</summary>
public sealed record GenerationOptions
{
    /// <summary>The largest number of new tokens.</summary>
    public int MaxTokens { get; init; } = 64;

    /// <summary>The tokens that end the text; null: those of the model's config.</summary>
    public IReadOnlyList<int>? EndTokenIds { get; init; }

    /// <summary>
    /// The temperature by which logits are divided before sampling; 0: always the most probable token.
    /// </summary>
    public double Temperature { get; init; }

    /// <summary>
    /// The probability that the tokens to sample from reach together, taken from the most probable down (Holtzman et
    /// al., 2020).
    /// </summary>
    public double TopP { get; init; } = 1;

    /// <summary>
    /// The seed of the sampling. <see cref="SamplingDraws"/> says which random number selects which token.
    /// </summary>
    public ulong Seed { get; init; }

    /// <summary>Called with each new token as soon as it is chosen; null: nothing is.</summary>
    public Action<int>? OnToken { get; init; }
}
