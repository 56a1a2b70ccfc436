using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// LoftQ: rounds the weight and fits B·A to what was lost, in turns; the last step fits, so that Q + s·B·A is as near
/// to W as it can be.
/// </summary>
internal sealed class LoftqMethod : QuantizedStart
{
    public override string Name => "loftq";
    public override string Formula =>
        "Q + s·B·A, in turns Q = quant(W - s·B·A) and s·B·A = the leading triplets of W - Q, s = alpha/rank";
    public override string Source => "Li et al., 2023, arXiv 2310.08659";
    public override string Use =>
        "LoRA on a quantised base that begins nearer to the weights in full precision: for 4 bits and fewer.";

    protected override void Begin(AdapterStart start, Tensor weight)
    {
        for (int turn = 0; turn < Turns(start); turn++)
        {
            start[SubtractedB].CopyFrom(start[LoraNames.B]);
            start[SubtractedA].CopyFrom(start[LoraNames.A]);
            using QuantizedMatrix rest = start.Original.Without(
                start[SubtractedB],
                start[SubtractedA],
                start.Options.Scale
            );
            Fit(start, weight, rest);
        }
    }
}
