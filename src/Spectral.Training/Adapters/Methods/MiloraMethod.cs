using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>MiLoRA, minor components: like PiSSA with the smallest singular triplets.</summary>
internal sealed class MiloraMethod : AdapterMethod
{
    private const string A = LoraNames.A;
    private const string B = LoraNames.B;

    public override string Name => "milora";
    public override string Formula => "W - s·B0·A0 + s·B·A, B0·A0 = the last r singular triplets of W over s";
    public override string Source => "Wang et al., 2024, arXiv 2406.09044";
    public override string Use =>
        "LoRA in the directions the weight uses least, to disturb as little as possible of what it "
        + "knows. The start needs the exact SVD of every layer.";
    public override string PeftType => "LORA";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        return new AdapterForm
        {
            Terms = layer.Residual(
                layer.Trained(B, (layer.Out, rank)),
                layer.Trained(A, (rank, layer.In)),
                layer.Options.Scale
            ),
        };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.ComputeLast(
            starts,
            start => start.Options.Rank,
            (start, svd, last) => svd.CopyBalanced(start[B], start[A], last, start.Options.Scale)
        );
}
