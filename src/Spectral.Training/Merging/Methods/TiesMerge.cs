using System.Numerics.Tensors;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class TiesMerge : OneModelMerge
{
    private const string Scope = "scope";
    private const string Model = "model";
    private const string Lambda = "lambda";

    public override string Name => "ties";

    public override string Formula =>
        "keep the largest ⌊density · n⌋ of ∣τ_i∣; γ = sign(Σ τ_i), 0 counts as +; θ = θ0 + λ Σ w_i τ_i[sign τ_i = γ] / "
        + "max(1, #agreeing)";

    public override string Source =>
        "Yadav et al., \"TIES-Merging: Resolving Interference When Merging Models\", 2023, arXiv 2306.01708; weights "
        + "and signs as in PEFT";

    public override string Use =>
        "Drops small changes and lets a vote decide the sign of each entry, so that inputs that disagree do not "
        + "cancel. Without weights each input counts 1. Reads the inputs three times.";

    public override MergeUses Uses => MergeUses.Weights | MergeUses.Density;

    public override bool MergesFactors => true;

    public override double DefaultDensity => 0.2;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Choice(
            Scope,
            "Whether the entries to keep are the largest of each tensor, or of the whole model of an input.",
            "tensor",
            Model
        ),
        SignElection.Setting,
        new(Lambda, 1, 0, 10, "Factor λ of the merged change."),
    ];

    internal override int Scans(MergeRun run) => run.Chose(Scope, Model) ? 2 : 0;

    internal override TensorMerge Begin(MergeRun run)
    {
        TopEntries? ofModel = run.Chose(Scope, Model) ? TopEntries.OfModel(run, run.Density) : null;
        SignElection election = new(run);
        return tensor =>
        {
            TopEntries kept = ofModel ?? TopEntries.Of(tensor, run.Density);
            return (piece, result) =>
            {
                for (int i = 0; i < run.Inputs; i++)
                    kept.Trim(piece, i);
                election.Merge(piece, result);
                TensorPrimitives.MultiplyAdd(result, (float)run.Setting(Lambda), piece.Base, result);
            };
        };
    }
}
