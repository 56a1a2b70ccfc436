using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>MiCA: the left factor is frozen at the last left singular vectors, and A starts at zero.</summary>
internal sealed class MicaMethod : AdapterMethod
{
    private const string A = LoraNames.A;
    private const string B = LoraNames.B;

    public override string Name => "mica";
    public override string Formula => "W + s·U_min·A, U_min = the last r left singular vectors, frozen";
    public override string Source => "PEFT, init_lora_weights mica";
    public override string Use =>
        "Half of LoRA's trainable parameters: only A trains. The start needs the exact SVD of every layer.";
    public override string PeftType => "LORA";
    public override string? PeftInit => "mica";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.SpectralRank;
        return new AdapterForm
        {
            Terms = [new(layer.Frozen(B, (layer.Out, rank)), layer.Trained(A, (rank, layer.In)), layer.Options.Scale)],
        };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts) =>
        SingularTriplets.ComputeLast(
            starts,
            start => start.Options.Rank,
            (start, svd, last) => svd.CopyLeft(start[B], last, _ => 1)
        );
}
