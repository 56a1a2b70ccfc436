using Spectral.Training.Adapters.Building;

namespace Spectral.Training.Adapters.Methods;

/// <summary>SAM-PARSER: every singular value trains, without the limit at zero of SVDiff.</summary>
internal sealed class SamParserMethod : AdapterMethod
{
    private static readonly WholeSpectrum Spectrum = new("sam_parser");

    public override string Name => "sam-parser";
    public override string Formula => "U diag(sigma + delta) Vᵀ over the whole spectrum of W";
    public override string Source => "Peng et al., 2024, arXiv 2308.14604";
    public override string Use =>
        "Rescales the weight in its own bases: svdiff whose values may become negative. All of U and V is stored, and "
        + "the weight is recomputed each step: for small models and studies.";

    public override AdapterForm Form(AdapterBuilder layer) => Spectrum.Form(layer, (_, delta) => delta);

    public override void Initialize(IReadOnlyList<AdapterStart> starts) => Spectrum.Begin(starts);
}
