using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// OFT: rotates blocks of the inputs. As in PEFT, the config of a file says whether its rotations are exact.
/// </summary>
internal sealed class OftMethod : AdapterMethod
{
    private const string Share = "block-share";
    private const string Constrained = "coft";
    private const string Bound = "eps";
    private const string FormerSeries = "former-series";
    private const string VersionKey = "peft_version";

    public override string Name => "oft";
    public override string Formula => "W·diag(Q_1 … Q_b)ᵀ, rotations Q_i from skew-symmetric matrices";
    public override string Source => "Qiu et al., 2023, arXiv 2306.07280; Qiu et al., 2025, arXiv 2506.19847";
    public override IReadOnlyList<PeftField>? PeftFields =>
        [
            PeftField.Bias("oft_only"),
            PeftField.FanInFanOut,
            PeftField.Start("init_weights"),
            Version,
            .. PeftField.Ignored("module_dropout"),
        ];
    public override string Use =>
        "Keeps the angles between neurons. in·(block − 1)/2 numbers a layer. The weight is "
        + "recomputed each step, and its gradient costs as much as in full fine-tuning.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(
                BlockSizes.Size,
                32,
                2,
                4096,
                "Size of the rotations, rounded to the nearest divisor of a layer's inputs."
            ) with
            {
                PeftKey = "oft_block_size",
            },
            BlockSizes.NumberSetting("r"),
            AdapterSetting.Switch(Share, false, "Share one rotation between all blocks of a layer.") with
            {
                PeftKey = "block_share",
            },
            AdapterSetting.Switch(
                Constrained,
                false,
                "COFT: limit the norm of a layer's skew-symmetric matrices to eps/√blocks."
            ) with
            {
                PeftKey = "coft",
            },
            new(Bound, 6e-5, 1e-9, 1e6, "The eps of that limit.") { PeftKey = "eps" },
            .. CayleyRotation.Settings(neumann: true),
            AdapterSetting.Switch(
                FormerSeries,
                false,
                "Use the series of PEFT 0.16 and 0.17, whose last term counts twice."
            ),
        ];

    /// <summary>
    /// The field with the first version of PEFT that has this series. PEFT uses it to tell which series a file was
    /// trained with, and warns if it is missing.
    /// </summary>
    private PeftField Version =>
        new(VersionKey)
        {
            Write = (json, options) =>
            {
                if (CayleyRotation.IsSeries(this, options) && options.Setting(this, FormerSeries) == 0)
                    json.WriteString(VersionKey, "0.18.0");
            },
        };

    internal override bool Reads(JsonFields fields) => !BoftMethod.IsFormerOft(fields);

    /// <summary>
    /// Selects the former series for files without a version: PEFT writes its version since 0.18, which changed the
    /// series.
    /// </summary>
    internal override AdapterOptions ReadForeign(JsonFields fields, AdapterOptions options) =>
        CayleyRotation.IsSeries(this, options) && !fields.Has(VersionKey) ? options.With(FormerSeries, 1) : options;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int size = BlockSizes.Of(layer);
        int blocks = layer.In / size;
        bool shared = layer.IsOn(Share);
        int rotations = shared ? 1 : blocks;
        double? longest = layer.IsOn(Constrained) ? layer.Setting(Bound) / Math.Sqrt(rotations) : null;
        Expression rotation = CayleyRotation.Trained(
            layer,
            "oft_R.weight",
            (rotations, size * (size - 1) / 2),
            size,
            BlockSizes.Size,
            longest: longest,
            twiceTheLast: layer.IsOn(FormerSeries)
        );
        if (shared)
            rotation = rotation.Reshape((size, size)).Repeat(blocks);
        return new AdapterForm { Weight = layer.Weight.MatMulBlocks(rotation, transpose: true) };
    }
}
