using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// RoBERTa (Liu et al., "RoBERTa: A Robustly Optimized BERT Pretraining Approach", 2019): BERT whose positions begin
/// after that of the padding token, and whose head has the layer before the output in itself.
/// </summary>
internal sealed class RobertaFamily : EncoderLayout
{
    private const string Padding = "pad_token_id";
    private const int DefaultPadding = 1;

    /// <inheritdoc/>
    public override string ModelType => "roberta";

    /// <inheritdoc/>
    public override string Architecture => "RobertaForSequenceClassification";

    /// <inheritdoc/>
    public override string? DefaultTokenizerClass => "RobertaTokenizer";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Relatives =>
        new Dictionary<string, string>
        {
            ["camembert"] = "files of its own",
            ["xlm-roberta"] = "a Unigram tokenizer in most folders",
        };

    /// <inheritdoc/>
    protected override string Base => "roberta";

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        int first = (fields.Integer(Padding, 0, ModelConfig.MaximumPositions) ?? DefaultPadding) + 1;
        return first < config.MaxPositions
            ? base.Read(fields, config) with
            {
                FirstPosition = first,
            }
            : throw fields.Wrong("max_position_embeddings", $"more than {first}, where positions begin");
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        if (!config.OtherKeys.ContainsKey(Padding))
            json.WriteNumber(Padding, config.FirstPosition - 1);
    }

    /// <inheritdoc/>
    public override ClassifierLayout LayoutOf(ClassifierKind kind) =>
        kind == ClassifierKind.Sequence
            ? new($"{Head}.out_proj", true, $"{Head}.dense", ReadsLast: false)
            : new(Head, true, null, ReadsLast: false);
}
