using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SDT's choice of channels on any linear layer: the output channels whose weights change most on data. The change is
/// that of the first step, the gradient on calibration data, where the paper looks back on a warm-up. Its models are
/// state-space models, in which the chosen channels are those of A and B.
/// </summary>
internal sealed class SdtMethod : AdapterMethod
{
    public override string Name => "sdt";
    public override string Formula =>
        "W + (alpha/rank)·B·A, B a frozen selector of the rank output channels with the largest gradient";
    public override string Source => "Galim et al., 2024, arXiv 2410.09016";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Full fine-tuning of the output channels that the data ask to change most, at the cost of a LoRA with one "
        + "trained factor. Its files are plain LoRA.";
    public override string PeftType => AdapterConfig.Lora;
    public override bool StartsFromData => true;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.RankWithin(layer.Out);
        return new AdapterForm
        {
            Terms =
            [
                new(
                    layer.Frozen(LoraNames.B, (layer.Out, rank)),
                    layer.Trained(LoraNames.A, (rank, layer.In)),
                    layer.Options.Scale
                ),
            ],
        };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        IEnumerable<Tensor> gradients = starts[0].Calibration.Gradients([.. starts.Select(start => start.Module.Name)]);
        foreach ((AdapterStart start, Tensor gradient) in starts.Zip(gradients))
        {
            using (gradient)
            using (var squares = Tensor.Empty(gradient.Device, start.Module.Out))
            using (var chosen = Tensor.Empty(gradient.Device, start.Options.Rank, DType.I32))
            {
                BroadcastDot.Run(gradient, gradient, squares, Broadcast.PerRow);
                LargestEntries.Find(squares, chosen);
                Channels.Select(chosen.ToInt32Array(), start[LoraNames.B], asRows: false);
            }
        }
    }
}
