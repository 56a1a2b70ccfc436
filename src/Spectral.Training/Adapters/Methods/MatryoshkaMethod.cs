namespace Spectral.Training;

/// <summary>
/// MatryoshkaLoRA: LoRAs of the nested ranks 1, 2, 4, … r trained at once, each the first rows of A and columns of B with the scale of its rank:
/// a fixed diagonal P_i = Σ scale(r_j) over the ranks r_j above i.
/// </summary>
internal sealed class MatryoshkaMethod : AdapterMethod
{
    public override string Name => "matryoshka";
    public override string Formula => "W + B·diag(P)·A, P_i = the sum of alpha/r_j over nested ranks r_j > i; with prefix=k: W + (alpha/k)·B[:, :k]·A[:k]";
    public override string Source => "MatryoshkaLoRA, IST-DASLab";
    public override string Use => "One training for all ranks: any prefix of 1, 2, 4, … directions works by itself, so that size can be chosen later. Costs what LoRA costs.";

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
        [AdapterSetting.Whole("prefix", 0, 0, 65536, "Use the first so many directions alone, with the scale of that rank; 0: all of them as they train together.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        var (rank, prefix) = (layer.Rank, (int)layer.Setting("prefix"));
        if (prefix > rank)
            throw new InputException($"prefix {prefix} for {layer.Module.Name}: expected at most its rank, {rank}");
        var term = LoraMethod.Term(layer, rank);
        if (prefix > 0)
            return new AdapterForm
            {
                Terms = [new(term.Left.Block(0, 0, layer.Out, prefix), term.Right.Block(0, 0, prefix, layer.In), layer.Options.ScaleAt(prefix))],
            };
        float[] weights = [.. Enumerable.Range(0, rank).Select(i => (float)Nested(rank).Where(nested => nested > i).Sum(nested => layer.Options.ScaleAt(nested)))];
        return new AdapterForm { Terms = [term with { Scale = 1, Middle = layer.State("lora_P", rank, Start.Values(weights)) }] };
    }

    /// <summary>Powers of two below the rank, and the rank.</summary>
    private static IEnumerable<int> Nested(int rank)
    {
        for (var nested = 1; nested < rank; nested *= 2)
            yield return nested;
        yield return rank;
    }
}
