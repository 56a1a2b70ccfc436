using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>LoRA whose factors are rounded to one bit, or a few, in forward.</summary>
internal sealed class OneBitMethod : AdapterMethod
{
    private const string Bits = "bits";
    private const double StartDeviation = 0.001;

    public override string Name => "one-bit";

    public override string Formula =>
        "W + (alpha/rank)·B̂·Â, ŵ = μ + σ q((w − μ)/σ), q the normal level of the cell: ±0.6745 in one bit";

    public override string Source => "Jie, Wang and Deng, 2023, ICCV, arXiv 2307.16867";

    public override string Use =>
        "Trains a LoRA that loses nothing when spectral compress --method one-bit packs it into a bit per entry. "
        + "Gradients pass straight through the rounding. B begins small instead of at zero, as zeros have no "
        + "deviation.";

    public override bool StartsAtBase => false;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(
            Bits,
            1,
            0,
            NormalLevels.MostBits,
            "Bits of each entry of A and B; 0: not rounded, for comparison."
        ),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        Factor left = LoraMethod.Left(layer, layer.Rank, Start.Normal(StartDeviation));
        Factor right = layer.Trained(LoraNames.A, (layer.Rank, layer.In), Start.KaimingUniform);
        int bits = (int)layer.Setting(Bits);
        LowRankTerm term =
            bits == 0
                ? new(left, right, layer.Options.Scale)
                : new(NormalRounding.Round(left, bits), NormalRounding.Round(right, bits), layer.Options.Scale);
        return new AdapterForm { Terms = [term] };
    }
}
