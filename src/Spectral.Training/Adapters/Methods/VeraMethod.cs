using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// VeRA: the factors are Kaiming-uniform (gain √2) with the size of the largest layer, and equal to PEFT's for the same
/// seed. Each layer uses their top left corner.
/// </summary>
internal sealed class VeraMethod : AdapterMethod
{
    public override string Name => "vera";
    public override string Formula => "W + diag(b)·B·diag(d)·A, A and B random, frozen and shared by all layers";
    public override string Source => "Kopiczko et al., 2023, arXiv 2310.11454";
    public override string Use =>
        "r + out numbers a layer; A and B are stored once for the whole model. Ranks are larger than "
        + "LoRA’s: 256 is customary.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(256),
        PeftField.Dropout("vera_dropout"),
        PeftField.Bias("vera_only"),
        PeftField.Written("save_projection", true),
    ];
    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            new("d-initial", 0.1, -1e3, 1e3, "Start value of d.") { PeftKey = "d_initial" },
            ProjectionSeed.Setting(0, "projection_prng_key"),
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        int widest = layer.AllModules.Max(module => module.In);
        int tallest = layer.AllModules.Max(module => module.Out);
        Expression right = layer
            .Shared("vera_A", (rank, widest), false, Start.Computed(Right))
            .Block(0, 0, rank, layer.In);
        Expression left = layer
            .Shared("vera_B", (tallest, rank), false, Start.Computed(Left))
            .Block(0, 0, layer.Out, rank);
        Factor middle = layer.Trained("vera_lambda_d", rank, Start.Of(layer.Setting("d-initial")));
        return new AdapterForm
        {
            Terms = [new(left.ScaleRows(layer.Trained("vera_lambda_b", layer.Out)), right) { Middle = middle }],
        };

        float[] Right() => Kaiming(ProjectionSeed.Generator(layer), rank * widest, widest);

        // One generator draws both, B after A.
        float[] Left()
        {
            TorchGenerator generator = ProjectionSeed.Generator(layer);
            Kaiming(generator, rank * widest, widest);
            return Kaiming(generator, tallest * rank, rank);
        }
    }

    private static float[] Kaiming(TorchGenerator generator, int count, int inputs)
    {
        double bound = Math.Sqrt(3) * (Math.Sqrt(2) / Math.Sqrt(inputs));
        return generator.Uniform(count, -bound, bound);
    }
}
