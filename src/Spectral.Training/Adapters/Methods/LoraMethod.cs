namespace Spectral.Training;

/// <summary>LoRA. A starts Kaiming-uniform, B at zero, so that W' = W at first.</summary>
internal sealed class LoraMethod : AdapterMethod
{
    internal const string A = "lora_A.weight";
    internal const string B = "lora_B.weight";

    public override string Name => "lora";
    public override string Formula => "W + (alpha/rank)·B·A";
    public override string Source => "Hu et al., 2021, arXiv 2106.09685";
    public override string Use => "The baseline: every tool reads its files.";

    public override AdapterForm Form(AdapterBuilder layer) => new() { Terms = [Term(layer, layer.Rank)] };

    /// <summary>A LoRA term as PEFT names it.</summary>
    internal static LowRankTerm Term(AdapterBuilder layer, int rank) =>
        new(layer.Trained(B, (layer.Out, rank), rate: layer.Options.LearningRateRatio), layer.Trained(A, (rank, layer.In), Start.KaimingUniform), layer.Options.Scale);
}
