using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>LoRA. B starts at zero, or such that its product with A is zero, so that W' = W at first.</summary>
internal sealed class LoraMethod : AdapterMethod
{
    private const string Bias = "lora_B.bias";
    private const string HasBias = "lora-bias";

    public override string Name => "lora";
    public override string Formula => "W + (alpha/rank)·B·A";
    public override string Source => "Hu et al., 2021, arXiv 2106.09685";
    public override string Use => "The baseline: every tool reads its files.";

    public override bool AdaptsEmbeddings => true;

    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [.. PeftField.Lora.Where(field => field.Key != "lora_bias")];

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        LoraStarts.AtBase,
        AdapterSetting.Switch(
            HasBias,
            false,
            "A trained bias at B, with the same scale; a layer without a bias gets one, and then cannot be merged."
        ) with
        {
            PeftKey = "lora_bias",
            IsLaterKey = true,
        },
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        if (layer.Module.IsEmbedding)
            return new AdapterForm { Terms = [EmbeddingTerm(layer, layer.Rank)] };
        LowRankTerm term = Term(layer, layer.Rank, LoraStarts.Right(layer));
        if (!layer.IsOn(HasBias))
            return new AdapterForm { Terms = [term] };
        Factor added = layer.Trained(Bias, layer.Out, rate: layer.Options.LearningRateRatio);
        return new AdapterForm
        {
            Terms = [term],
            Bias = layer.Bias?.Add(added, 1, term.Scale) ?? added.Scale(term.Scale),
        };
    }

    /// <summary>Declares a LoRA term with PEFT's names.</summary>
    internal static LowRankTerm Term(AdapterBuilder layer, int rank, Start? right = null) =>
        new(
            Left(layer, rank),
            layer.Trained(LoraNames.A, (rank, layer.In), right ?? Start.KaimingUniform),
            layer.Options.Scale
        );

    /// <summary>
    /// Declares A and B of an embedding [V, D] as in PEFT. A [r, V], whose columns are looked up, begins at zero and B
    /// [D, r] at N(0, 1), however other layers begin.
    /// </summary>
    private static LowRankTerm EmbeddingTerm(AdapterBuilder layer, int rank)
    {
        Factor a = layer.Trained(LoraNames.EmbeddingA, (rank, layer.Out), Start.Zeros);
        Factor b = layer.Trained(LoraNames.EmbeddingB, (layer.In, rank), Start.Normal(1));
        return new LowRankTerm(a.Transpose(), b.Transpose(), layer.Options.Scale);
    }

    /// <summary>Declares LoRA's B, with its own learning rate.</summary>
    internal static Factor Left(AdapterBuilder layer, int rank, Start? start = null) =>
        layer.Trained(LoraNames.B, (layer.Out, rank), start, layer.Options.LearningRateRatio);

    public override bool UsesSvd(AdapterOptions options) => LoraStarts.UsesSvd(this, options);

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        LoraStarts.Begin(this, [.. starts.Where(start => !start.Module.IsEmbedding)]);
}
