namespace Spectral.Training.Models.Families;

/// <summary>
/// The base of families with Llama's attention between layer norms with biases, and a feed-forward layer without a
/// gate.
/// </summary>
internal abstract class PlainLayout : LlamaLayout
{
    /// <summary>The names of the feed-forward layer's matrices within a decoder layer.</summary>
    protected abstract (string Up, string Down) Plain { get; }

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1e-5;

    /// <inheritdoc/>
    public override Activation DefaultActivation => Activation.GeluTanh;

    /// <inheritdoc/>
    public override IReadOnlyList<Activation> Activations => Models.Activations.Plain;

    /// <inheritdoc/>
    public override NormForm FormOfNorms(ModelConfig config) => NormForm.LayerWithBias;

    /// <inheritdoc/>
    protected override string FeedForwardReader(ModelConfig config, int layer) => Plain.Up;

    /// <inheritdoc/>
    protected override IReadOnlyList<LinearSpec> FeedForwardLinears(ModelConfig config, int layer) =>
        [
            new(NameOf(layer, Plain.Up), config.IntermediateSize, config.HiddenSize, config.MlpBias),
            new(NameOf(layer, Plain.Down), config.HiddenSize, config.IntermediateSize, config.MlpBias),
        ];

    /// <inheritdoc/>
    public override LayerUnits? Units(ModelConfig config, int layer)
    {
        IReadOnlyList<LinearSpec> linears = Linears(config, layer);
        OutputRows[] rows = [.. linears.Select(linear => new OutputRows(linear, 0, linear.Outputs))];
        return new LayerUnits
        {
            Queries = rows[0],
            Keys = rows[1],
            Values = rows[2],
            HeadReader = linears[3],
            Neurons = [rows[4]],
            NeuronReader = linears[5],
        };
    }

    /// <inheritdoc/>
    protected override FeedForwardBlock CreateFeedForward(ModelConfig config, int layer, Func<string, Linear> linear) =>
        new PlainBlock
        {
            Up = new Projections(linear(Plain.Up)),
            Down = linear(Plain.Down),
            Activation = config.Activation,
        };
}
