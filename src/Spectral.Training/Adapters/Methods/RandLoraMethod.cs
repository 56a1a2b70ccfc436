using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>RandLoRA: as many random bases as fill the smaller dimension, each with its own diagonals.</summary>
internal sealed class RandLoraMethod : AdapterMethod
{
    public override string Name => "randlora";
    public override string Formula => "W + s·Σ_j B_j diag(lambda_j)·A·diag(gamma_j), A and B_j random, frozen and shared; full rank";
    public override string Source => "Albert et al., 2025, arXiv 2502.00987";
    public override string Use => "A full-rank change from few numbers. The weight is made anew each step, and its gradient costs what full fine-tuning’s does.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } = 
    [
        PeftField.Rank(32), PeftField.Alpha("randlora_alpha", 640), PeftField.Dropout("randlora_dropout"), PeftField.Bias("randlora_only"), PeftField.Is("save_projection", true, missing: true),
        .. PeftField.Ignored("projection_prng_key", "sparse", "very_sparse"),   // how A and B were drawn; they are stored
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        var rank = layer.Rank;
        int small = Math.Min(layer.Out, layer.In), large = Math.Max(layer.Out, layer.In), count = Bases(small, rank);
        int smallest = layer.AllModules.Max(module => Math.Min(module.Out, module.In)), largest = layer.AllModules.Max(module => Math.Max(module.Out, module.In));
        var most = Bases(smallest, rank);
        var a = layer.Shared("randlora_A", (rank, 1, smallest), false, Start.Uniform(Math.Sqrt(3))).Reshape((rank, smallest)).Block(0, 0, rank, small);
        var b = layer.Shared("randlora_B", (largest, most, rank), false, Start.Uniform(Math.Sqrt(3))).Reshape((largest, most * rank)).Block(0, 0, large, count * rank);
        var lambda = layer.Trained("randlora_lambda", (rank, count));
        var gamma = layer.Trained("randlora_gamma", (count, small), Start.Of(1.0 / Math.Max(count, small)));
        // Rows run over (row of A, basis) and columns of B over (basis, row of A): the published code pairs them so, and so do its files.
        var wide = a.Repeat(count).Permute(1, 0, 2).Reshape((rank * count, small))
            .Multiply(gamma.Tile(rank, 1), Broadcast.PerElement).ScaleRows(lambda.Reshape(rank * count));
        var change = layer.In <= layer.Out ? b.MatMul(wide) : wide.MatMul(b, transposeA: true, transposeB: true);
        return new AdapterForm { Weight = layer.Weight.Add(change, 1, layer.Options.Scale) };
    }

    private static int Bases(int small, int rank) => (small + rank - 1) / rank;
}
