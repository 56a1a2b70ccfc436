using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// MatryoshkaLoRA: LoRAs of nested ranks, 1, 2, 4, … r unless set, train at once. Each is the first rows of A and
/// columns of B with the scale of its rank. Together they are one LoRA with a fixed diagonal P_i = Σ scale(r_j) over
/// the ranks r_j above i.
/// </summary>
internal sealed class MatryoshkaMethod : AdapterMethod
{
    private const string Step = "rank-step";

    public override string Name => "matryoshka";
    public override string Formula =>
        "W + B·diag(P)·A, P_i = the sum of alpha/r_j over nested ranks r_j > i; with prefix=k: W + "
        + "(alpha/k)·B[:, :k]·A[:k]";
    public override string Source => "MatryoshkaLoRA, IST-DASLab";
    public override string Use =>
        "One training for all ranks: any prefix of a nested rank works by itself, so that "
        + "the size can be chosen later. Costs as much as LoRA.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        Prefixes.Setting,
        AdapterSetting.Whole(
            Step,
            0,
            0,
            65536,
            "Nested ranks are the multiples of this and the rank; 0: the powers of two and the rank."
        ),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm term = LoraMethod.Term(layer, layer.Rank);
        return new AdapterForm
        {
            Terms =
            [
                Prefixes.Of(layer, term)
                    ?? term with
                    {
                        Scale = 1,
                        Middle = layer.State("lora_P", layer.Rank, Start.Values(Weights(layer))),
                    },
            ],
        };
    }

    private static float[] Weights(AdapterBuilder layer) =>
        [
            .. Enumerable
                .Range(0, layer.Rank)
                .Select(i =>
                    (float)
                        Nested(layer.Rank, (int)layer.Setting(Step)).Where(rank => rank > i).Sum(layer.Options.ScaleAt)
                ),
        ];

    /// <summary>Returns the powers of two or the multiples of a step below the rank, and the rank.</summary>
    private static IEnumerable<int> Nested(int rank, int step)
    {
        for (int nested = Math.Max(1, step); nested < rank; nested = step == 0 ? 2 * nested : nested + step)
            yield return nested;
        yield return rank;
    }
}
