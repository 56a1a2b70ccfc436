using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>SVDiff: a trained shift of every singular value, limited to results of at least zero.</summary>
internal sealed class SvdiffMethod : AdapterMethod
{
    private static readonly WholeSpectrum Spectrum = new("svdiff");

    public override string Name => "svdiff";
    public override string Formula => "U diag(max(sigma + delta, 0)) Vᵀ over the whole spectrum of W";
    public override string Source => "Han et al., 2023, arXiv 2303.11305";
    public override string Use =>
        "Changes every singular value. All of U and V is stored, and the weight is recomputed each "
        + "step: for small models and studies.";

    public override AdapterForm Form(AdapterBuilder layer) =>
        Spectrum.Form(layer, (sigma, delta) => sigma.Add(delta).Max(0).Subtract(sigma));

    public override void Initialize(IReadOnlyList<AdapterStart> starts) => Spectrum.Begin(starts);
}
