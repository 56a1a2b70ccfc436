using Spectral.Kernels;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// S2FT: a few channels inside each block of the model train, drawn at random: columns of the layers that lead out of
/// it (o, down), rows of those that lead into it. Layers of one block that have as many channels share their choice.
/// Instead of reordering channels so that the chosen ones come first, a selector of ones and zeros picks them.
/// </summary>
internal sealed class S2ftMethod : AdapterMethod
{
    private const string Side = "side";
    private static readonly string[] Outward = [".o_proj", ".down_proj"];

    public override string Name => "s2ft";
    public override string Formula =>
        "W + (alpha/rank)·B·A, one of both a frozen selector of rank channels: whole columns of W for o_proj and "
        + "down_proj, whole rows for the others";
    public override string Source => "Yang et al., 2024, arXiv 2412.06289";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Full fine-tuning of some channels at the cost of a LoRA with one trained factor. Its files are plain LoRA. "
        + "Heads are not kept together.";
    public override string PeftType => AdapterConfig.Lora;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Choice(
            Side,
            "Which channels a layer trains: its inputs for o_proj and down_proj and its outputs otherwise, or one kind "
                + "for all.",
            "block",
            "inputs",
            "outputs"
        ),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        bool inputs = TrainsInputs(layer.Module, layer.Options);
        int rank = layer.RankWithin(inputs ? layer.In : layer.Out);
        (Shape left, Shape right) = ((layer.Out, rank), (rank, layer.In));
        double scale = layer.Options.Scale;
        return new AdapterForm
        {
            Terms =
            [
                inputs
                    ? new(layer.Trained(LoraNames.B, left), layer.Frozen(LoraNames.A, right), scale)
                    : new(layer.Frozen(LoraNames.B, left), layer.Trained(LoraNames.A, right), scale),
            ],
        };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            bool inputs = TrainsInputs(start.Module, start.Options);
            int[] channels = Channels.Draw(start, inputs ? start.Module.In : start.Module.Out);
            Channels.Select(channels, start[inputs ? LoraNames.A : LoraNames.B], asRows: inputs);
        }
    }

    private bool TrainsInputs(ModuleShape module, AdapterOptions options) =>
        (int)options.Setting(this, Side) switch
        {
            0 => Outward.Any(ending => module.Name.EndsWith(ending, StringComparison.Ordinal)),
            var side => side == 1,
        };
}
