using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>LoRA. B starts at zero, or so that its product with A is zero: W' = W at first.</summary>
internal sealed class LoraMethod : AdapterMethod
{
    internal const string A = "lora_A.weight";
    internal const string B = "lora_B.weight";
    internal const string EmbeddingA = "lora_embedding_A";
    internal const string EmbeddingB = "lora_embedding_B";

    public override string Name => "lora";
    public override string Formula => "W + (alpha/rank)·B·A";
    public override string Source => "Hu et al., 2021, arXiv 2106.09685";
    public override string Use => "The baseline: every tool reads its files.";

    public override bool AdaptsEmbeddings => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Choice("init", "How A begins: Kaiming-uniform, Gaussian of deviation 1/rank, or A and B orthogonal to each other and neither zero (even rank).",
            "kaiming", "gaussian", "orthogonal"),
    ];

    private enum Init { Kaiming, Gaussian, Orthogonal }

    public override AdapterForm Form(AdapterBuilder layer)
    {
        var (rank, init) = (layer.Rank, (Init)layer.Setting("init"));
        if (layer.Module.IsEmbedding)
            return new AdapterForm { Terms = [EmbeddingTerm(layer, rank)] };
        if (init == Init.Orthogonal && rank % 2 != 0)
            throw new InputException($"rank {rank} for {layer.Module.Name}: lora with init=orthogonal needs an even rank");
        var term = Term(layer, rank, init == Init.Gaussian ? Start.Normal(1.0 / rank) : Start.KaimingUniform);
        return new AdapterForm { Terms = [term] };
    }

    /// <summary>A LoRA term as PEFT names it.</summary>
    internal static LowRankTerm Term(AdapterBuilder layer, int rank, Start? right = null) =>
        new(Left(layer, rank), layer.Trained(A, (rank, layer.In), right ?? Start.KaimingUniform), layer.Options.Scale);

    /// <summary>
    /// A and B of an embedding [V, D] as PEFT has them: A [r, V], whose columns are looked up, begins at zero, B [D, r] at N(0, 1), however other
    /// layers begin.
    /// </summary>
    private static LowRankTerm EmbeddingTerm(AdapterBuilder layer, int rank)
    {
        var a = layer.Trained(EmbeddingA, (rank, layer.Out), Start.Zeros);
        var b = layer.Trained(EmbeddingB, (layer.In, rank), Start.Normal(1));
        return new LowRankTerm(a.Transpose(), b.Transpose(), layer.Options.Scale);
    }

    /// <summary>Its B, at a learning rate of its own.</summary>
    internal static Factor Left(AdapterBuilder layer, int rank, Start? start = null) =>
        layer.Trained(B, (layer.Out, rank), start, layer.Options.LearningRateRatio);

    /// <summary>
    /// Orthogonal: with Q [r, r] a random rotation of upper half Q_a and lower half Q_b, and Gaussian N, A = Q_aᵀ N_a/10 and B = N_b Q_b/10, whose
    /// product is zero since Q_b Q_aᵀ is (PEFT's init_lora_weights="orthogonal").
    /// </summary>
    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (var start in starts.Where(start => !start.Module.IsEmbedding && (Init)start.Options.Setting(this, "init") == Init.Orthogonal))
        {
            var (rank, device, seed) = (start.Options.Rank, start.Weight.Device, start.Options.Seed);
            using var normal = Tensor.Empty(device, (rank, rank));
            using var rotation = Tensor.Empty(device, (rank, rank));
            using var right = Tensor.Empty(device, (rank / 2, start.Module.In));
            using var left = Tensor.Empty(device, (start.Module.Out, rank / 2));
            foreach (var (tensor, tag) in new[] { (normal, "Q"), (right, "A"), (left, "B") })
                Philox.Normal(tensor, seed, start.Stream($"orthogonal.{tag}"), 0, 1);
            Orthonormalization.Rows(normal, rotation);
            using var upper = rotation.Rows(0, rank / 2);
            using var lower = rotation.Rows(rank / 2, rank / 2);
            Gemm.Run(upper, true, right, false, start[A], 0.1f);
            Gemm.Run(left, false, lower, false, start[B], 0.1f);
        }
    }
}
