using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>Scales the top k singular values of W and adds a LoRA: W' = W + U_k diag(σ_k∘δ) V_kᵀ + s·B·A (after SpecLoRA, arXiv 2505.23099).</summary>
/// <remarks>
/// U_k, σ_k, V_k are the leading singular triplets of the frozen W, computed once and stored with the adapter; δ starts at zero, so weight decay
/// pulls towards the pretrained spectrum. Reads rank (0: spectral part alone), alpha, top-k, svd.
/// </remarks>
public sealed class SpecLoraMethod : AdapterMethod
{
    private const string U = "spec_U";
    private const string Sigma = "spec_S";
    private const string V = "spec_V";
    private const string Delta = "spec_delta";

    // Enough layers of one shape for a batch, few enough that their triplets beside the adapter's own copy do not matter.
    private const int ModulesAtOnce = 64;

    /// <inheritdoc/>
    public override string Name => "speclora";

    /// <inheritdoc/>
    public override string Summary => "W + U diag(sigma·delta) Vᵀ on the top-k singular triplets + (alpha/rank)·B·A (after arXiv 2505.23099)";

    /// <inheritdoc/>
    public override bool UsesTopK => true;

    /// <inheritdoc/>
    public override IReadOnlyList<AdapterBlock> Blocks(ModuleShape module, AdapterOptions options)
    {
        var k = options.TopK;
        if (options.Rank < 0)
            throw new InputException($"rank {options.Rank} for {module.Name}: speclora needs a rank of at least 0");
        var largest = Math.Min(module.Out, module.In);
        if (k < 1 || k > largest)
            throw new InputException($"top-k {k} for {module.Name}, which is [{module.Out}, {module.In}]: expected 1 to {largest}");
        var spectral = new AdapterBlock(new Factor(U, (module.Out, k), Trains: false), new Factor(V, (k, module.In), Trains: false), 1)
        {
            Sigma = new Factor(Sigma, k, Trains: false),
            Delta = new Factor(Delta, k, Trains: true),
        };
        return options.Rank == 0 ? [spectral] : [spectral, LoraMethod.LowRankBlock(module, options)];
    }

    /// <inheritdoc/>
    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (var some in starts.Chunk(ModulesAtOnce))
        {
            var (k, method, seed) = (some[0].Options.TopK, some[0].Options.Svd, some[0].Options.Seed);
            var triplets = Svd.Compute(
                [.. some.Select(start => start.Weight)], k, method, new RandomizedSvdOptions { Seed = seed }, [.. some.Select(start => start.Stream(U))]);
            foreach (var (start, svd) in some.Zip(triplets))
            {
                start[U].CopyFrom(svd.U);
                start[Sigma].CopyFrom(svd.S);
                start[V].CopyFrom(svd.Vt);
                svd.Dispose();
                if (start.Options.Rank > 0)
                    start.KaimingUniform(LoraMethod.A);
            }
        }
    }
}
