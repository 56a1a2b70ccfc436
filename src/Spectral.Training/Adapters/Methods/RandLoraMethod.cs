using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// RandLoRA: as many random bases as are needed to fill the smaller dimension, each with its own diagonals.
/// </summary>
internal sealed class RandLoraMethod : AdapterMethod
{
    private const string Sparse = "sparse";
    private const string VerySparse = "very-sparse";
    private const string Pairing = "pairing";
    private const string AsPublished = "paper";

    public override string Name => "randlora";
    public override string Formula =>
        "W + s·Σ_j B_j diag(lambda_j)·A·diag(gamma_j), A and B_j random, frozen and shared; full rank";
    public override string Source => "Albert et al., 2025, arXiv 2502.00987";
    public override string Use =>
        "A full-rank change from few numbers. The weight is recomputed each step, and its gradient "
        + "costs as much as in full fine-tuning.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(32),
        PeftField.Alpha("randlora_alpha", 640),
        PeftField.Dropout("randlora_dropout"),
        PeftField.Bias("randlora_only"),
        PeftField.Written("save_projection", true),
    ];
    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            ProjectionSeed.Setting(0, "projection_prng_key"),
            AdapterSetting.Switch(Sparse, false, "Use A and B of -1, 0 and 1, with two thirds zeros.") with
            {
                PeftKey = "sparse",
            },
            AdapterSetting.Switch(
                VerySparse,
                false,
                "Use even more zeros: all elements except about one in √n, n the smaller size."
            ) with
            {
                PeftKey = "very_sparse",
            },
            AdapterSetting.Choice(
                Pairing,
                "Which rows of A meet which columns of B_j: in PEFT's order, which its files need, or as in the "
                    + "formula.",
                "peft",
                AsPublished
            ) with
            {
                PeftKey = Pairing,
                IsLaterKey = true,
            },
        ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        int small = Math.Min(layer.Out, layer.In);
        int large = Math.Max(layer.Out, layer.In);
        int count = Bases(small, rank);
        int tallest = layer.AllModules.Max(module => module.Out);
        int widest = layer.AllModules.Max(module => module.In);
        int smallest = Math.Min(tallest, widest);
        int largest = Math.Max(tallest, widest);
        int most = Bases(smallest, rank);
        Expression a = layer
            .Shared("randlora_A", (rank, 1, smallest), false, Start.Computed(() => Draw(layer, smallest, largest).A))
            .Reshape((rank, smallest))
            .Block(0, 0, rank, small);
        Expression b = layer
            .Shared("randlora_B", (largest, most, rank), false, Start.Computed(() => Draw(layer, smallest, largest).B))
            .Reshape((largest, most * rank))
            .Block(0, 0, large, count * rank);
        Factor lambda = layer.Trained("randlora_lambda", (rank, count));
        Factor gamma = layer.Trained("randlora_gamma", (count, small), Start.Of(1.0 / Math.Max(count, small)));
        // Columns of B are ordered by (basis, row of A), and rows as in the formula too. The published code has rows by
        // (row of A, basis) and pairs them like this, and so do its files.
        Expression rows = a.Repeat(count);
        (Expression factors, Expression scales) =
            layer.Choice(Pairing) == AsPublished
                ? (gamma.Repeat(rank).Permute(1, 0, 2), lambda.Transpose())
                : (gamma.Repeat(rank), lambda);
        if (layer.Choice(Pairing) != AsPublished)
            rows = rows.Permute(1, 0, 2);
        Expression wide = rows.Multiply(factors, Broadcast.PerElement)
            .Reshape((rank * count, small))
            .ScaleRows(scales.Reshape(rank * count));
        Expression change = layer.In <= layer.Out ? b.MatMul(wide) : wide.MatMul(b, transposeA: true, transposeB: true);
        return new AdapterForm { Weight = layer.Weight.Add(change, 1, layer.Options.Scale) };
    }

    private static int Bases(int small, int rank) => (small + rank - 1) / rank;

    /// <summary>
    /// Draws A [rank, 1, small] and B [large, bases, rank] as PEFT does, each divided by its standard deviation: BF16
    /// values from a Kaiming-uniform distribution, as on all processors with BF16, or F32 values of signs and zeros.
    /// </summary>
    private static (float[] A, float[] B) Draw(AdapterBuilder layer, int small, int large)
    {
        (Numerics.TorchGenerator generator, int rank, int bases) = (
            ProjectionSeed.Generator(layer),
            layer.Rank,
            Bases(small, layer.Rank)
        );
        if (layer.IsOn(VerySparse) || layer.IsOn(Sparse))
        {
            float edge = (float)(1 / (2 * (layer.IsOn(VerySparse) ? Math.Sqrt(small) : 3)));
            return (Signs(rank * small), Signs(large * bases * rank));

            float[] Signs(int count) =>
                Normalized(Array.ConvertAll(generator.Uniform(count, 0, 1), Sign), value => value);

            float Sign(float value)
            {
                if (value < edge)
                    return -1;
                return value > 1 - edge ? 1 : 0;
            }
        }
        float[] a = Normalized(Kaiming(rank * small, small), BFloat16.Round);
        float[] b = new float[large * bases * rank];
        for (int basis = 0; basis < bases; basis++)
        {
            float[] one = Kaiming(large * rank, rank);
            for (int i = 0; i < one.Length; i++)
                b[(i / rank * bases + basis) * rank + i % rank] = one[i];
        }
        return (a, Normalized(b, BFloat16.Round));

        float[] Kaiming(int count, int inputs)
        {
            double bound = Math.Sqrt(3) * (Math.Sqrt(2.0 / 6) / Math.Sqrt(inputs));
            return generator.UniformBFloat16(count, -bound, bound);
        }
    }

    private static float[] Normalized(float[] values, Converter<float, float> round)
    {
        double mean = values.Average(value => (double)value);
        double variance = values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1);
        float deviation = round((float)Math.Sqrt(variance));
        return Array.ConvertAll(values, value => round(value / deviation));
    }
}
