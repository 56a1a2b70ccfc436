using Spectral.Training.Numerics;
using Spectral.Training.Settings;

namespace Spectral.Training.Placement.Methods;

/// <summary>RDP-LoRA: the decoder layers at which the path of the hidden states bends most.</summary>
internal sealed class RdpPlacement : PlacementMethod
{
    private const string Count = "layers";

    public override string Name => "rdp";

    public override string Formula =>
        "h_l = mean hidden state after decoder layer l; rank r in the n layers that Ramer-Douglas-Peucker keeps of the "
        + "polyline h_0 … h_{L−1}";

    public override string Source =>
        "Çelebi et al., \"RDP LoRA: Geometry-Driven Identification for Parameter-Efficient Adaptation in Large "
        + "Language Models\", 2026, arXiv 2604.19321; Ramer, 1972; Douglas, Peucker, 1973";

    public override string Use =>
        "Runs the records once, forward only. The first and the last layer are always among those that are kept, as "
        + "the ends of the line. Means are over all tokens of the records.";

    public override bool RunsModel => true;

    public override string ScoreOf => "distance of h_l from the line without it";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(
            Count,
            0,
            0,
            100_000,
            "Number n of layers that are adapted; 0: a third of the model, but at least two."
        ),
    ];

    internal override PlacementResult Place(PlacementRun run)
    {
        int count = run.LayersOf(Count, 1 / 3.0, least: 2);
        IReadOnlyDictionary<int, double> kept = Polyline.Simplify(run.Training.HiddenMeans(), count);
        return new PlacementResult(
            [
                .. run.Layers.Select(layer =>
                {
                    bool adapted = kept.TryGetValue(run.DepthOf(layer), out double distance);
                    return new PlacedModule(layer, adapted ? run.Options.Rank : 0)
                    {
                        Score = adapted && double.IsFinite(distance) ? distance : null,
                    };
                }),
            ],
            []
        );
    }
}
