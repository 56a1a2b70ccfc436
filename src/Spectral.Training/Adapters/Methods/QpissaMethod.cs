using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// QPiSSA: PiSSA on a quantised base. B and A start as the leading singular triplets of the weight, and the rest, whose
/// values spread less, is rounded.
/// </summary>
internal sealed class QpissaMethod : QuantizedStart
{
    public override string Name => "qpissa";
    public override string Formula =>
        "Q + s·B·A, in turns s·B·A = the leading triplets of W - Q, of W first, and Q = quant(W - s·B·A), "
        + "s = alpha/rank";
    public override string Source => "Meng et al., 2024, arXiv 2404.02948";
    public override string Use =>
        "PiSSA on a quantised base: the leading directions stay in full precision and are trained.";

    protected override void Begin(AdapterStart start, Tensor weight)
    {
        Fit(start, weight, null);
        for (int turn = 1; turn < Turns(start); turn++)
        {
            using QuantizedMatrix rest = start.Original.Without(
                start[LoraNames.B],
                start[LoraNames.A],
                start.Options.Scale
            );
            Fit(start, weight, rest);
        }
        start[SubtractedB].CopyFrom(start[LoraNames.B]);
        start[SubtractedA].CopyFrom(start[LoraNames.A]);
    }
}
