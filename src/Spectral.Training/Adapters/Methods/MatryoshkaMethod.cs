using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// MatryoshkaLoRA: LoRAs of the nested ranks 1, 2, 4, … r train at once. Each is the first rows of A and columns of B
/// with the scale of its rank. Together they are one LoRA with a fixed diagonal P_i = Σ scale(r_j) over the ranks r_j
/// above i.
/// </summary>
internal sealed class MatryoshkaMethod : AdapterMethod
{
    public override string Name => "matryoshka";
    public override string Formula =>
        "W + B·diag(P)·A, P_i = the sum of alpha/r_j over nested ranks r_j > i; with prefix=k: W + "
        + "(alpha/k)·B[:, :k]·A[:k]";
    public override string Source => "MatryoshkaLoRA, IST-DASLab";
    public override string Use =>
        "One training for all ranks: any prefix of 1, 2, 4, … directions works by itself, so that "
        + "the size can be chosen later. Costs as much as LoRA.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } = [Prefixes.Setting];

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
                .Select(i => (float)Nested(layer.Rank).Where(rank => rank > i).Sum(layer.Options.ScaleAt)),
        ];

    /// <summary>Returns the powers of two below the rank, and the rank.</summary>
    private static IEnumerable<int> Nested(int rank)
    {
        for (int nested = 1; nested < rank; nested *= 2)
            yield return nested;
        yield return rank;
    }
}
