using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Adapters.Methods;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Packing;
using Spectral.Training.Settings;

namespace Spectral.Training.Compression.Methods;

/// <summary>T-Switch's codec: of each change a mask, signs and one number.</summary>
internal sealed class FlexSwitchCompression : CompressionMethod
{
    /// <summary>The setting with the share of entries to keep.</summary>
    public const string Density = "density";

    public override string Name => "flex-switch";

    public override string Formula =>
        "τ ≈ s · sign(τ) on the ⌊density · n⌋ largest ∣τ∣ of each weight, 0 elsewhere; s = the mean of these ∣τ∣";

    public override string Source =>
        "Qi et al., \"Less is More: Efficient Model Merging with Binary Task Switch\", 2024, arXiv 2412.00054";

    public override string Use =>
        "Stores the change of each linear weight of the blocks in a bit per weight and one more per kept weight, "
        + "without data and without a decomposition. What a model loses by it the t-switch merge shows. A loaded "
        + "change is dense and takes the memory of its weight in F32. The paper learns densities; here all have the "
        + "given one.";

    public override bool IsPublishedForm => false;

    public override bool NeedsModel => true;

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Density, 0.1, 1e-6, 1, "Share of the entries of each weight to keep; at least one is kept.")];

    internal override CompressionResult Write(CompressionRun run)
    {
        using ChangeOfBase change = new(run);
        foreach ((LinearSpec layer, float[] values) in change.Linears())
        {
            int count = (int)Math.Max(1, (long)(run.Setting(Density) * values.Length));
            float[] kept = LargestOf(values, count, out double sum);
            float size = (float)(sum / count);
            double lost = 0;
            for (int i = 0; i < values.Length; i++)
            {
                double off = (double)values[i] - (MathF.Sign(kept[i]) * size);
                lost += off * off;
            }
            string name = AdapterFolder.KeyOf(layer.Name, DeltaMethod.Leaf);
            PackedTensor packed = SwitchCodec.Pack(name, [layer.Outputs, layer.Inputs], kept, size);
            change.Add(layer, rank: 0, [packed], values, lost);
        }
        return change.Write(AdapterMethods.Find("delta"));
    }

    /// <summary>
    /// Returns the values of largest magnitude in their places, the first of equal ones, and zeros elsewhere.
    /// </summary>
    private static float[] LargestOf(float[] values, int count, out double sum)
    {
        OrderStatistics statistics = new(ofMagnitudes: true, count);
        statistics.CountFirst(values);
        statistics.EndFirst();
        statistics.CountSecond(values);
        OrderStatistics.Ranked least = statistics.Result();
        long ofLeast = least.Within;
        sum = 0;
        float[] kept = new float[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            float size = MathF.Abs(values[i]);
            if (size < least.Value || (size == least.Value && ofLeast-- <= 0))
                continue;
            kept[i] = values[i];
            sum += size;
        }
        return kept;
    }
}
