namespace Spectral.Training.Models;

/// <summary>Says of what a model with a head for classes gives one.</summary>
public enum ClassifierKind
{
    /// <summary>A text, or a pair of texts (<c>…ForSequenceClassification</c>).</summary>
    Sequence,

    /// <summary>Each word of a text (<c>…ForTokenClassification</c>).</summary>
    Tokens,
}
