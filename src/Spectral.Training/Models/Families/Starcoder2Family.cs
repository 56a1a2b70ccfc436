using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// StarCoder2 (Lozhkov et al., "StarCoder 2 and The Stack v2", 2024): Llama's attention between layer norms with
/// biases, a feed-forward layer without a gate, and biases on all linear layers.
/// </summary>
internal sealed class Starcoder2Family : LlamaLayout
{
    private const string Bias = "use_bias";
    private const string Up = "mlp.c_fc";
    private const string Down = "mlp.c_proj";

    /// <inheritdoc/>
    public override string ModelType => "starcoder2";

    /// <inheritdoc/>
    public override string Architecture => "Starcoder2ForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 4096;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 50256;

    /// <inheritdoc/>
    public override string NormEpsilonKey => "norm_epsilon";

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1e-5;

    /// <inheritdoc/>
    public override Activation DefaultActivation => Activation.GeluTanh;

    /// <inheritdoc/>
    public override IReadOnlyList<Activation> Activations => Models.Activations.Plain;

    /// <inheritdoc/>
    public override bool TiesByDefault => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [Bias, WindowKeys.Window];

    /// <inheritdoc/>
    public override IReadOnlyList<string> DefaultTargets =>
        [.. base.DefaultTargets.Take(4), ModelTensors.EndOf(Up), Down];

    /// <inheritdoc/>
    public override string FeedForwardOutput => Down;

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 2;

    /// <inheritdoc/>
    public override NormForm FormOfNorms(ModelConfig config) => NormForm.LayerWithBias;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        bool biased = fields.Boolean(Bias) ?? true;
        return config with
        {
            QueryKeyValueBias = biased,
            OutputBias = biased,
            MlpBias = biased,
            SlidingWindow = fields.Integer(WindowKeys.Window, 0, int.MaxValue) ?? 0,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteBoolean(Bias, config.OutputBias);
        base.WriteAttention(config, json);
        WindowKeys.Write(config, json);
    }

    /// <inheritdoc/>
    protected override string FeedForwardReader(ModelConfig config, int layer) => Up;

    /// <inheritdoc/>
    protected override IReadOnlyList<LinearSpec> FeedForwardLinears(ModelConfig config, int layer) =>
        [
            new(NameOf(layer, Up), config.IntermediateSize, config.HiddenSize, config.MlpBias),
            new(NameOf(layer, Down), config.HiddenSize, config.IntermediateSize, config.MlpBias),
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
            Up = new Projections(linear(Up)),
            Down = linear(Down),
            Activation = config.Activation,
        };
}
