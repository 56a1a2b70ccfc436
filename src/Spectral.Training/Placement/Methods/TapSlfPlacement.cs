using Spectral.Training.Settings;

namespace Spectral.Training.Placement.Methods;

/// <summary>The layer choice of TAP-SLF: the last decoder layers.</summary>
internal sealed class TapSlfPlacement : PlacementMethod
{
    private const string Count = "layers";

    public override string Name => "tap-slf";

    public override string Formula => "rank r in decoder layers L − k … L − 1, none below";

    public override string Source =>
        "Wan, Lan, \"TAP-SLF: Parameter-Efficient Adaptation of Vision Foundation Models for Multi-Task Ultrasound "
        + "Image Analysis\", 2026, arXiv 2603.00433";

    public override string Use =>
        "Needs no data. The backward pass ends at the lowest adapted layer, so that a step becomes cheaper with it. "
        + "The adapter tap-slf chooses the same layers and has the prompt too, which --soft-prompt adds to others; "
        + "backward then passes all layers.";

    public override bool IsPublishedForm => false;

    public override IReadOnlyList<Setting> Settings { get; } =
    [Setting.Whole(Count, 0, 0, 100_000, "Number k of layers that are adapted; 0: half of the model.")];

    internal override PlacementResult Place(PlacementRun run)
    {
        int first = run.Depth - run.LayersOf(Count, 0.5);
        return new PlacementResult(
            [
                .. run.Layers.Select(layer => new PlacedModule(
                    layer,
                    run.DepthOf(layer) >= first ? run.Options.Rank : 0
                )),
            ],
            []
        );
    }
}
