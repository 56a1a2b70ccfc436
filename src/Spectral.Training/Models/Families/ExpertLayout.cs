using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>The base of families with Llama's attention and mixtures of experts in some or all layers.</summary>
internal abstract class ExpertLayout : LlamaLayout
{
    private const string PerToken = "num_experts_per_tok";
    private const string AddsLoss = "output_router_logits";
    private const string Coefficient = "router_aux_loss_coef";

    // transformers takes either for the other.
    private static readonly string[] CountKeys = ["num_local_experts", "num_experts"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [.. CountKeys, PerToken, AddsLoss, Coefficient];

    /// <summary>
    /// The projections of attention. Adapters on all experts are many times as large, and most get few tokens; PEFT
    /// leaves them out by default too.
    /// </summary>
    public override IReadOnlyList<string> DefaultTargets => AttentionTargets;

    /// <summary>The key with the number of experts, in new files.</summary>
    protected abstract string CountKey { get; }

    /// <summary>The number of experts if the config does not say.</summary>
    protected abstract int DefaultCount { get; }

    /// <summary>The number of experts per token if the config does not say.</summary>
    protected abstract int DefaultPerToken { get; }

    /// <summary>The name of the mixture within a decoder layer.</summary>
    protected abstract string Mixture { get; }

    /// <summary>The names of an expert's linear layers within it.</summary>
    protected abstract (string Gate, string Up, string Down) ExpertModules { get; }

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        int count = ReadCount(fields);
        int each = fields.Integer(PerToken, 1, ExpertsConfig.Most) ?? DefaultPerToken;
        if (each > count)
            throw fields.Wrong(PerToken, $"1 to {count}, the number of experts ({DefaultPerToken} if not given)");
        return config with
        {
            Experts = new ExpertsConfig
            {
                Count = count,
                PerToken = each,
                BalanceCoefficient = fields.Number(Coefficient, 0, 1e6) ?? 0.001,
                AddsBalanceLoss = fields.Boolean(AddsLoss) ?? false,
            },
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        ExpertsConfig experts = ExpertsOf(config);
        json.WriteNumber(CountKey, experts.Count);
        json.WriteNumber(PerToken, experts.PerToken);
        json.WriteBoolean(AddsLoss, experts.AddsBalanceLoss);
        json.WriteNumber(Coefficient, experts.BalanceCoefficient);
    }

    /// <summary>Returns the experts of a model of the family.</summary>
    /// <exception cref="InvalidOperationException">The config has none.</exception>
    protected ExpertsConfig ExpertsOf(ModelConfig config) =>
        config.Experts
        ?? throw new InvalidOperationException(
            $"{nameof(ModelConfig.Experts)} is null, expected the experts of a {ModelType} model"
        );

    /// <inheritdoc/>
    protected override IReadOnlyList<LinearSpec> FeedForwardLinears(ModelConfig config, int layer)
    {
        ExpertsConfig experts = ExpertsOf(config);
        if (!experts.In(layer))
            return base.FeedForwardLinears(config, layer);
        (int hidden, int width) = (config.HiddenSize, experts.IntermediateSize ?? config.IntermediateSize);
        return
        [
            new(NameOf(layer, Router), experts.Count, hidden, false) { IsRouter = true },
            .. Enumerable
                .Range(0, experts.Count)
                .Select(NamesOf)
                .SelectMany(names =>
                    new LinearSpec[]
                    {
                        new(NameOf(layer, names.Gate), width, hidden, false),
                        new(NameOf(layer, names.Up), width, hidden, false),
                        new(NameOf(layer, names.Down), hidden, width, false),
                    }
                ),
        ];
    }

    /// <summary>
    /// Lists the tensors of all experts of a layer, as transformers 5 keeps them: gate and up [E, 2F, D], down [E, D,
    /// F], and the router beside them.
    /// </summary>
    public override IEnumerable<FusedTensor> Fused(ModelConfig config)
    {
        ExpertsConfig experts = ExpertsOf(config);
        (long hidden, long width) = (config.HiddenSize, experts.IntermediateSize ?? config.IntermediateSize);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            if (!experts.In(layer))
                continue;
            (string Gate, string Up, string Down)[] names = [.. Enumerable.Range(0, experts.Count).Select(NamesOf)];
            yield return new FusedTensor(
                NameOf(layer, ExpertParameters.GateUp),
                [experts.Count, 2 * width, hidden],
                [.. names.SelectMany(expert => new[] { Spec(expert.Gate), Spec(expert.Up) })]
            );
            yield return new FusedTensor(
                NameOf(layer, ExpertParameters.Down),
                [experts.Count, hidden, width],
                [.. names.Select(expert => new TensorSpec(WeightOf(expert.Down), [hidden, width]))]
            );
            if (NameOf(layer, FusedRouter) is var router && router != WeightOf(Router))
            {
                long[] shape = [experts.Count, hidden];
                yield return new FusedTensor(router, shape, [new TensorSpec(WeightOf(Router), shape)]);
            }

            TensorSpec Spec(string name) => new(WeightOf(name), [width, hidden]);

            string WeightOf(string module) => NameOf(layer, module) + ".weight";
        }
    }

    /// <inheritdoc/>
    protected override FeedForwardBlock CreateFeedForward(ModelConfig config, int layer, Func<string, Linear> linear)
    {
        ExpertsConfig experts = ExpertsOf(config);
        return experts.In(layer)
            ? new ExpertBlock(
                experts,
                linear(Router),
                [.. Enumerable.Range(0, experts.Count).Select(NamesOf).Select(Expert)]
            )
            : base.CreateFeedForward(config, layer, linear);

        GatedBlock Expert((string Gate, string Up, string Down) names) =>
            new()
            {
                Gates = new Projections(linear(names.Gate), linear(names.Up)),
                Down = linear(names.Down),
                Activation = config.Activation,
            };
    }

    /// <inheritdoc/>
    protected override string FeedForwardReader(ModelConfig config, int layer) =>
        ExpertsOf(config).In(layer) ? Router : base.FeedForwardReader(config, layer);

    private const string FusedRouter = "mlp.gate.weight";

    private string Router => Mixture + ".gate";

    private (string Gate, string Up, string Down) NamesOf(int expert)
    {
        (string gate, string up, string down) = ExpertModules;
        string prefix = $"{Mixture}.experts.{expert}.";
        return (prefix + gate, prefix + up, prefix + down);
    }

    private int ReadCount(JsonFields fields)
    {
        int?[] counts = Array.ConvertAll(CountKeys, key => fields.Integer(key, 1, ExpertsConfig.Most));
        return counts is [{ } first, { } other] && first != other
            ? throw fields.Wrong(CountKeys[1], $"{first} as in {CountKeys[0]}, or one of the two keys alone")
            : counts[0] ?? counts[1] ?? DefaultCount;
    }
}
