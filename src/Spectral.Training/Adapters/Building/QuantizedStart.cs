using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// The base of methods that round a weight and fit a LoRA to what that loses: Q + s·B·A with Q = quant(W − s·B₀·A₀). B₀
/// and A₀ are kept beside the LoRA, so that Q can be computed again from the base in full precision.
/// </summary>
internal abstract class QuantizedStart : AdapterMethod
{
    /// <summary>The factors that are taken out of the weight before it is rounded.</summary>
    protected const string SubtractedB = "base_B.weight";
    protected const string SubtractedA = "base_A.weight";

    private const string Iterations = "iterations";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [AdapterSetting.Whole(Iterations, 5, 1, 100, "Number of turns of rounding and fitting, each a decomposition.")];

    public override bool StartsAtBase => false;
    public override bool RequantizesBase => true;

    public override bool UsesSvd(AdapterOptions options) => true;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, double scale) = (layer.SpectralRank, layer.Options.Scale);
        return new AdapterForm
        {
            Terms =
            [
                new(layer.Trained(LoraNames.B, (layer.Out, rank)), layer.Trained(LoraNames.A, (rank, layer.In)), scale),
            ],
            Subtracted = new(
                layer.Frozen(SubtractedB, (layer.Out, rank)),
                layer.Frozen(SubtractedA, (rank, layer.In)),
                scale
            ),
        };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            using Tensor weight = start.Original.Read();
            Begin(start, weight);
        }
    }

    /// <summary>Computes the factors of one layer, which are zero so far.</summary>
    /// <param name="start">The layer.</param>
    /// <param name="weight">W [out, in] in full precision, F32.</param>
    protected abstract void Begin(AdapterStart start, Tensor weight);

    /// <summary>Returns the number of turns.</summary>
    protected int Turns(AdapterStart start) => (int)start.Options.Setting(this, Iterations);

    /// <summary>Writes the leading triplets of W − Q, with σ split evenly; without Q those of W.</summary>
    protected static void Fit(AdapterStart start, Tensor weight, QuantizedMatrix? rounded)
    {
        using var lost = Tensor.Zeros(weight.Device, weight.Shape);
        rounded?.Dequantize(0, lost);
        Combine.Run(weight, 1, lost, -1, lost);
        int rank = start[LoraNames.A].Dim(0);
        var options = new RandomizedSvdOptions { Seed = start.Options.Seed, Stream = start.Stream("quantized") };
        using SvdResult svd = Svd.Compute(lost, rank, start.Options.Svd, options);
        svd.CopyBalanced(start[LoraNames.B], start[LoraNames.A], [.. Enumerable.Range(0, rank)], start.Options.Scale);
    }
}
