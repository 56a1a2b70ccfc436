using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Compression.Methods;

/// <summary>
/// LoRA-Squeeze after training: truncates the SVD of each layer's change, computed from its factors. The kept factors
/// of all layers are in host memory as doubles until they are written.
/// </summary>
internal sealed class LoraSqueezeCompression : CompressionMethod
{
    public override string Name => "lora-squeeze";

    public override string Formula =>
        "ΔW = L R, L = Q_L T_L, Rᵀ = Q_R T_R, T_L T_Rᵀ = U Σ Vᵀ; L' = Q_L U_r √Σ_r, R' = √Σ_r V_rᵀ Q_Rᵀ";

    public override string Source =>
        "Vulić et al., \"LoRA-Squeeze: Simple and Effective Post-Tuning and In-Tuning Compression of LoRA Modules\", "
        + "2026, arXiv 2602.10993";

    public override string Use =>
        "Gives an adapter that is a sum of low-rank terms a smaller rank with the least loss that the rank allows "
        + "(Eckart-Young), without data and without the dense change. The paper's SVD is randomized, this one exact, "
        + "and choosing ranks by energy is an addition. The result is a plain LoRA with alpha = r.";

    public override bool IsPublishedForm => false;

    public override CompressionUses Uses => CompressionUses.Rank | CompressionUses.Energy;

    public override double DefaultEnergy => 0.99;

    internal override CompressionResult Write(CompressionRun run)
    {
        using PlainLoraConversion adapter = new(run.Input, run.Device, run.Model);
        List<LoraFactors> squeezed = [];
        List<CompressedLayer> layers = [];
        (double dropped, double all) = (0, 0);
        StoredType type = run.Options.Type ?? StoredType.F32;
        foreach (AdaptedModule module in adapter.Modules)
        {
            run.Cancellation.ThrowIfCancellationRequested();
            ProductSvd whole = Decompose(run, adapter, module);
            int rank = run.Options.Rank is { } largest
                ? Math.Min(largest, whole.Values.Length)
                : whole.RankFor(run.Options.Energy ?? DefaultEnergy);
            ProductSvd kept = whole.Take(rank);
            squeezed.Add(new LoraFactors(module, rank, kept.BalancedLeft, kept.BalancedRight));
            (double tail, double norm) = (whole.Tail(rank), whole.Tail(0));
            (string name, int outputs, int inputs) = (module.Shape.Name, module.Shape.Out, module.Shape.In);
            double bits = (double)type.Bits() * rank * (outputs + inputs) / ((double)outputs * inputs);
            layers.Add(
                new CompressedLayer(name, outputs, inputs, CompressionRun.Share(tail, norm), bits)
                {
                    RankBefore = module.Form.Rank,
                    Rank = rank,
                }
            );
            dropped += tail;
            all += norm;
            run.Progress?.Invoke(new CompressionProgress(layers.Count, adapter.Modules.Count, name));
        }

        int tensors = adapter.Write(run.Output, type, squeezed);
        return run.Result(layers, CompressionRun.Share(dropped, all), tensors, adapter.Warnings);
    }

    private static ProductSvd Decompose(CompressionRun run, PlainLoraConversion adapter, AdaptedModule module)
    {
        (float[] left, float[] right) = adapter.Factors(module);
        return ProductSvd.Of(run.Device, left, right, module.Shape.Out, module.Form.Rank, module.Shape.In);
    }
}
