namespace Spectral.Training.Models;

/// <summary>Describes the modules of a head for classes in a family.</summary>
/// <param name="Head">The name of the output layer, whose weight is [labels, D].</param>
/// <param name="HasBias">Whether the output layer has a bias.</param>
/// <param name="Pooler">
/// The name of a layer [D, D] with a bias before it, of whose output the output layer reads the tanh; null: none.
/// </param>
/// <param name="ReadsLast">Whether the last token of a text stands for it; otherwise the first.</param>
internal sealed record ClassifierLayout(string Head, bool HasBias, string? Pooler, bool ReadsLast)
{
    /// <summary>The head of decoders: a projection of the last token.</summary>
    public static ClassifierLayout OfDecoders { get; } = new("score", false, null, ReadsLast: true);
}
