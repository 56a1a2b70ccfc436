using Spectral.Training.Settings;

namespace Spectral.Training.Placement.Methods;

/// <summary>The layer choice of TAP-SLF: the last decoder layers.</summary>
internal sealed class LastLayersPlacement : PlacementMethod
{
    private const string Count = "layers";

    public override string Name => "last-layers";

    public override string Formula => "rank r in decoder layers L − k … L − 1, none below";

    public override string Source => "TAP-SLF (task prompts and selective layer fine-tuning); its layer choice alone";

    public override string Use =>
        "Needs no data. The backward pass ends at the lowest adapted layer, so that a step becomes cheaper with it.";

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
