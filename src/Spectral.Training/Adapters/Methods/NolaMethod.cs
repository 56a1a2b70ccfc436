using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// NOLA: LoRA's factors are combinations of random matrices, which are drawn again from a seed wherever they are read.
/// </summary>
internal sealed class NolaMethod : AdapterMethod
{
    private const string CountA = "basis-a";
    private const string CountB = "basis-b";
    private const string Seed = "basis-seed";

    public override string Name => "nola";
    public override string Formula => "W + (alpha/rank)·(Σ_j beta_j B_j)·(A_0 + Σ_i alpha_i A_i), A_i and B_j random";
    public override string Source => "Koohpayegani et al., 2023, arXiv 2310.02556";
    public override string Use =>
        "As few numbers as wanted at any rank. Each step draws all random matrices again: about 25 "
        + "integer operations per element and matrix.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(CountA, 256, 1, 1 << 16, "Number of random matrices A_i of a layer."),
            AdapterSetting.Whole(CountB, 256, 1, 1 << 16, "Number of random matrices B_j of a layer."),
            AdapterSetting.Whole(Seed, 0, 0, int.MaxValue, "Seed of the random matrices; needed to read a file."),
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        int a = (int)layer.Setting(CountA);
        int b = (int)layer.Setting(CountB);
        Factor alpha = layer.Trained("nola_alpha", a);
        Factor beta = layer.Trained("nola_beta", b);
        // A_0 is drawn like the others, with LoRA's bound for A and a frozen coefficient of 1.
        Expression origin = Random(
            layer.Frozen("nola_origin", 1, Start.Ones),
            null,
            (rank, layer.In),
            "origin",
            Math.Sqrt(layer.In)
        );
        Expression right = Random(alpha, origin, (rank, layer.In), "A", Math.Sqrt(a));
        return new AdapterForm
        {
            Terms = [new(Random(beta, null, (layer.Out, rank), "B", Math.Sqrt(b)), right, layer.Options.Scale)],
        };

        Expression Random(Factor coefficients, Expression? origin, Shape shape, string tag, double divisor) =>
            coefficients.RandomCombination(
                origin,
                shape,
                (ulong)layer.Setting(Seed),
                RandomStream.For($"{layer.Module.Name}.nola_{tag}"),
                1 / divisor
            );
    }
}
