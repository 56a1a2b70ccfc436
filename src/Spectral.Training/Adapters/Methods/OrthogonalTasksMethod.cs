using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// O-LoRA: a task's A is kept orthogonal to those of earlier tasks, whose changes are kept frozen. These come from an
/// adapter of any method with a low-rank form (<see cref="AdapterOptions.PreviousAdapter"/>). A chain of tasks is thus
/// a chain of folders, each of which is complete.
/// </summary>
internal sealed class OrthogonalTasksMethod : AdapterMethod
{
    private const string B = "lora_B_previous.weight";
    private const string A = "lora_A_previous.weight";

    /// <summary>The name of the setting with the rank p of the earlier tasks.</summary>
    internal const string PreviousRank = "previous-rank";

    // Below this, an overlap counts as zero and has no gradient.
    private const double SmallestSquare = 1e-20;

    public override string Name => "o-lora";
    public override string Formula =>
        "W + B_p·A_p + (alpha/rank)·B·A, loss + weight·Σ |A_p·Aᵀ|; B_p, A_p of the earlier tasks";
    public override string Source => "Wang et al., 2023, arXiv 2310.14152";
    public override string Use =>
        "One task after another without forgetting, with a folder per task. Without "
        + "--previous-adapter it is LoRA on the first task. Ranks add up in forward.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        new("weight", 0.5, 0, 1e6, "Weight of the penalty."),
        AdapterSetting.Whole(PreviousRank, 0, 0, 1 << 16, "Rank of the earlier tasks; --previous-adapter sets it."),
    ];

    public override TaskSequence Sequence => TaskSequence.KeptAdapters;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (LowRankTerm term, int p) = (LoraMethod.Term(layer, layer.Rank), (int)layer.Setting(PreviousRank));
        if (p == 0)
            return new AdapterForm { Terms = [term] };
        Factor b = layer.Frozen(B, (layer.Out, p));
        Factor a = layer.Frozen(A, (p, layer.In));
        Expression overlap = a.MatMul(term.Right, transposeB: true).Square().Sqrt(SmallestSquare);
        return new AdapterForm
        {
            Terms = [new(b, a), term],
            Penalty = overlap.Dot(layer.State("ones", (p, layer.Rank), Start.Ones)).Scale(layer.Setting("weight")),
        };
    }

    internal override AdapterOptions After(AdapterOptions options, string directory)
    {
        using var reader = new AdapterReader(directory);
        AdapterOptions after = options with { PreviousAdapter = directory };
        return after.With(PreviousRank, new EquivalentLora(reader, directory).Rank);
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        (string? previous, int p) = (
            starts[0].Options.PreviousAdapter,
            (int)starts[0].Options.Setting(this, PreviousRank)
        );
        if (previous is null && p > 0)
        {
            throw new InputException(
                $"setting {PreviousRank}={p}: expected an adapter of the tasks before; without one it is 0"
            );
        }

        if (previous is null)
            return;
        using var reader = new AdapterReader(previous);
        var lora = new EquivalentLora(reader, previous);
        if (lora.Rank != p)
            throw new InputException($"{previous}: its rank is {lora.Rank}, the setting {PreviousRank} says {p}");
        foreach (AdapterStart start in starts)
        {
            // A layer that no earlier task changed keeps zeros, with which nothing overlaps.
            if (reader.Modules.FirstOrDefault(module => module.Shape.Name == start.Module.Name) is not { } module)
                continue;
            if (module.Shape.Out != start.Module.Out || module.Shape.In != start.Module.In)
            {
                throw new InputException(
                    $"{previous}: {module.Shape.Name} is [{module.Shape.Out}, {module.Shape.In}] there, "
                        + $"the model's is [{start.Module.Out}, {start.Module.In}]"
                );
            }

            (float[] left, float[] right) = lora.Factors(module, p, start.Device);
            start[B].CopyFrom(left);
            start[A].CopyFrom(right);
        }
    }
}
