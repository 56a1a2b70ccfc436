namespace Spectral.Training.Models;

/// <summary>What a model with a head for classes or a number gives, from <c>config.json</c>.</summary>
public sealed record ClassifierConfig
{
    /// <summary>Of what the model gives a class: texts or their words.</summary>
    public required ClassifierKind Kind { get; init; }

    /// <summary>The names of the classes by their numbers (<c>id2label</c>), at least one.</summary>
    public required IReadOnlyList<string> Labels { get; init; }

    /// <summary>
    /// Whether the model gives a number for a text in place of a class (<c>problem_type</c> <c>regression</c>, or one
    /// label). Its loss is the squared error.
    /// </summary>
    public bool IsRegression { get; init; }
}
