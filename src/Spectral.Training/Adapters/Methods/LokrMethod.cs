using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>LoKr, with PEFT's shapes and start values: the smaller factor begins at zero.</summary>
internal sealed class LokrMethod : AdapterMethod
{
    private const string Factor = "factor";
    private const string Both = "decompose-both";
    private const string ScaledKey = "rank_dropout_scale";

    public override string Name => "lokr";
    public override string Formula => "W + (alpha/rank)·W_1 ⊗ W_2, W_2 = A·B of rank r";
    public override string Source => "Yeh et al., 2023, arXiv 2309.14859";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(8),
        PeftField.Alpha("alpha", 8),
        PeftField.RankPattern(),
        PeftField.AlphaPattern(),
        PeftField.Start("init_weights"),
        Scaled,
        .. PeftField.Ignored("rank_dropout", "module_dropout", "use_effective_conv2d"),
    ];
    public override string Use =>
        "Few numbers at high rank. The weight is recomputed each step, and its gradient costs as "
        + "much as in full fine-tuning.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(
                Factor,
                -1,
                -1,
                65536,
                "Largest size of W_1; -1: W_1 and W_2 as close to square as the divisors allow."
            ) with
            {
                PeftKey = "decompose_factor",
            },
            AdapterSetting.Switch(Both, false, "Factorise W_1 too, at rank r, where that is smaller.") with
            {
                PeftKey = "decompose_both",
            },
        ];

    /// <summary>
    /// The key that was introduced together with the scale, in 0.14. Older versions would ignore the scale, but refuse
    /// a config with this key. So it is written where the scale is not 1.
    /// </summary>
    private static PeftField Scaled =>
        new(ScaledKey)
        {
            Write = (json, options) =>
            {
                if (options.Alpha != options.Rank || options.RankPattern.Count > 0 || options.AlphaPattern.Count > 0)
                    json.WriteBoolean(ScaledKey, false);
            },
        };

    /// <summary>Corrects the scale: PEFT up to 0.13 multiplies by 1, whatever alpha and rank are.</summary>
    internal override AdapterOptions ReadForeign(JsonFields fields, AdapterOptions options) =>
        fields.Has(ScaledKey)
            ? options
            : options with
            {
                Alpha = options.Rank,
                AlphaPattern =
                [
                    .. options.RankPattern.Select(pair => KeyValuePair.Create(pair.Key, (double)pair.Value)),
                ],
            };

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, int factor) = (layer.Rank, (int)layer.Setting(Factor));
        var sizes = Kronecker.Of(layer.Module, factor);
        (int tall, int wide, int high, int broad) = sizes;
        Expression first =
            layer.IsOn(Both) && rank < Math.Max(tall, wide) / 2.0
                ? layer
                    .Trained("lokr_w1_a", (tall, rank))
                    .MatMul(layer.Trained("lokr_w1_b", (rank, wide), Start.KaimingUniform))
                : layer.Trained("lokr_w1", (tall, wide));
        Expression second =
            rank < Math.Max(high, broad) / 2.0
                ? layer
                    .Trained("lokr_w2_a", (high, rank), Start.KaimingUniform)
                    .MatMul(layer.Trained("lokr_w2_b", (rank, broad), Start.KaimingUniform))
                : layer.Trained("lokr_w2", (high, broad), Start.KaimingUniform);
        // Every element of one factor with every element of the other.
        Expression products = first
            .Reshape((tall * wide, 1))
            .MatMul(second.Reshape((1, high * broad)), scale: layer.Options.Scale);
        return new AdapterForm { Weight = layer.Weight.Add(sizes.Restore(products)) };
    }
}
