using Spectral.Training.IO;
using Spectral.Training.Settings;

namespace Spectral.Training.Placement.Methods;

/// <summary>SPAFIT: three strata by depth, of which the first is frozen.</summary>
internal sealed class SpafitPlacement : PlacementMethod
{
    private const string Frozen = "frozen";
    private const string Biases = "biases";
    private const string Lora = "lora";
    private const int Everywhere = 1;

    public override string Name => "spafit";

    public override string Formula =>
        "decoder layers in three strata by depth: frozen · biases · LoRA of rank r in attention, biases elsewhere";

    public override string Source =>
        "Arora, Wang, \"SPAFIT: Stratified Progressive Adaptation Fine-tuning for Pre-trained Large Language Models\", "
        + "2024, arXiv 2405.00201";

    public override string Use =>
        "Needs no data. It supposes that low layers hold general knowledge, which a task should leave alone. "
        + "--bias-out writes the layers that train their bias, for --bias of spectral finetune. On models without "
        + "biases the second stratum is frozen too.";

    public override bool PlacesBiases => true;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(Frozen, 0, 0, 100_000, "Number of layers in the first stratum; 0: a third of the model."),
        Setting.Whole(Biases, 0, 0, 100_000, "Number of layers in the second stratum; 0: a third of the model."),
        Setting.Choice(Lora, "The layers of the third stratum that get LoRA.", "attention", "all"),
    ];

    internal override PlacementResult Place(PlacementRun run)
    {
        int second = run.LayersOf(Frozen, 1 / 3.0);
        int third = second + run.LayersOf(Biases, 1 / 3.0);
        if (third >= run.Depth)
        {
            throw new InputException(
                $"settings {Frozen} and {Biases}: {second} and {third - second} layers of {run.Depth}, "
                    + "expected at least one layer for the third stratum"
            );
        }

        bool everywhere = (int)run.Setting(Lora) == Everywhere;
        PlacedModule[] placed =
        [
            .. run.Layers.Select(layer =>
            {
                int depth = run.DepthOf(layer);
                bool adapted = depth >= third && (everywhere || layer.Name.Contains("attn", StringComparison.Ordinal));
                return new PlacedModule(layer, adapted ? run.Options.Rank : 0)
                {
                    TrainsBias = depth >= second && !adapted,
                };
            }),
        ];
        return new PlacementResult(placed, [.. Notes(placed)]);
    }

    private static IEnumerable<string> Notes(PlacedModule[] placed)
    {
        int biases = placed.Count(module => module.TrainsBias && module.Module.HasBias);
        if (biases > 0)
        {
            yield return $"{biases} layers train their bias alone: --bias-out FILE writes them, and finetune trains "
                + "them with --bias @FILE";
        }
        else
        {
            yield return "no layer of the second stratum has a bias: it stays frozen";
        }
    }
}
