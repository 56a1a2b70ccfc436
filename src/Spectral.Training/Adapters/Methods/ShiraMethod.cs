using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SHiRA: as many single entries of the weight as a LoRA has scalars, drawn at random and fixed. Their change has full
/// rank.
/// </summary>
internal sealed class ShiraMethod : AdapterMethod
{
    private const string Places = "shira_indices";
    private const string Values = "shira_weight";

    public override string Name => "shira";
    public override string Formula => "W + S, S zero except for rank·(in + out) trained entries at random places";
    public override string Source => "Bhardwaj et al., 2024, arXiv 2406.13175";
    public override string Use =>
        "A sparse change of full rank: several adapters touch mostly different entries, and swapping one costs little. "
        + "Alpha is not used.";

    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(32),
        PeftField.FanInFanOut,
        PeftField.Start("init_weights"),
        new("mask_type") { Write = (json, _) => json.WriteString("mask_type", "random") },
        .. PeftField.Ignored("random_seed"), // the places are in the file
    ];

    public override AdapterForm Form(AdapterBuilder layer) =>
        SparseMasks.Form(layer, SparseMasks.LoraBudget(layer.Module, layer.Rank), Places, Values);

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
            LargestEntries.Draw(start.Base.Shape, start[Places], start.Options.Seed, start.Stream(Places));
    }
}
