namespace Spectral.Training.Models.Families;

/// <summary>
/// BERT (Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2019).
/// </summary>
internal sealed class BertFamily : EncoderLayout
{
    /// <inheritdoc/>
    public override string ModelType => "bert";

    /// <inheritdoc/>
    public override string Architecture => "BertForSequenceClassification";

    /// <inheritdoc/>
    public override string? DefaultTokenizerClass => "BertTokenizer";

    /// <inheritdoc/>
    protected override string Base => "bert";

    /// <inheritdoc/>
    public override ClassifierLayout LayoutOf(ClassifierKind kind) =>
        new(Head, true, kind == ClassifierKind.Sequence ? "bert.pooler.dense" : null, ReadsLast: false);
}
