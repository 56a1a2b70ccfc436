namespace Spectral.Training.Models;

/// <summary>Says what the norms of a model compute. A family gives all its norms one form.</summary>
internal sealed record NormForm
{
    private NormForm() { }

    /// <summary>The root mean square norm x / √(mean(x²) + ε) ∘ w (Zhang and Sennrich, 2019).</summary>
    public static NormForm Rms { get; } = new();

    /// <summary>The same norm with weights that are stored as differences to 1, as in Gemma (2024).</summary>
    public static NormForm RmsAroundOne { get; } = new() { WeightOffset = 1 };

    /// <summary>The layer norm (x − mean(x)) / √(var(x) + ε) ∘ w (Ba, Kiros and Hinton, 2016).</summary>
    public static NormForm Layer { get; } = new() { IsCentered = true };

    /// <summary>The layer norm with a bias that is added last.</summary>
    public static NormForm LayerWithBias { get; } = new() { IsCentered = true, HasBias = true };

    /// <summary>Whether the mean is taken out of a row.</summary>
    public bool IsCentered { get; private init; }

    /// <summary>Whether there is a bias beside the weight.</summary>
    public bool HasBias { get; private init; }

    /// <summary>What is added to the stored weights.</summary>
    public float WeightOffset { get; private init; }
}
