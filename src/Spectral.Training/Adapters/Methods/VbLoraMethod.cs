using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>VB-LoRA: pieces of LoRA's factors are mixed from a bank of vectors that the whole model shares.</summary>
internal sealed class VbLoraMethod : AdapterMethod
{
    private const string Count = "num-vectors";
    private const string Length = "vector-length";
    private const string TopK = "top-vectors";

    public override string Name => "vb-lora";
    public override string PeftType => "VBLORA";
    public override string Formula => "W + B·A, their pieces mixed by softmax from the k vectors of a shared bank with the largest logits";
    public override string Source => "Li et al., 2024, arXiv 2405.15179";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(4), PeftField.Dropout("vblora_dropout"), PeftField.Bias("vblora_only"), PeftField.FanInFanOut, PeftField.Is("save_only_topk_weights", false),
        .. PeftField.Ignored("init_vector_bank_bound", "init_logits_std"),
    ];
    public override string Use => "Small files: a bank, and two of its numbers for each piece. Logits train too, n for each piece. The weight starts a little changed.";
    public override bool StartsAtBase => false;

    public override IReadOnlyList<AdapterSetting> Settings =>
    [
        AdapterSetting.Whole(Count, 256, 1, 1 << 16, "Vectors in the bank.") with { PeftKey = "num_vectors" },
        AdapterSetting.Whole(Length, 256, 1, 1 << 16, "Length of a vector; the largest up to this that divides all layers' inputs and outputs.") with { PeftKey = "vector_length" },
        AdapterSetting.Whole(TopK, 2, 1, TopKMixture.MostChosen, "Vectors mixed into a piece.") with { PeftKey = "topk" },
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank, n = (int)layer.Setting(Count), k = Math.Min(n, (int)layer.Setting(TopK));
        var length = Divisors.Common((int)layer.Setting(Length), layer.AllModules.SelectMany(module => new[] { module.In, module.Out }));
        var (across, down) = (layer.In / length, layer.Out / length);
        var bank = layer.Shared("vblora_vector_bank", (n, length), true, Start.Uniform(0.02));
        var a = layer.Trained("vblora_logits_A", (rank, across, n), Start.Normal(0.1));
        var b = layer.Trained("vblora_logits_B", (down, rank, n), Start.Normal(0.1));
        var right = a.Reshape((rank * across, n)).TopKMixture(bank, k).Reshape((rank, layer.In));
        var left = b.Reshape((down * rank, n)).TopKMixture(bank, k).Reshape((down, rank, length)).Transpose().Reshape((layer.Out, rank));
        return new AdapterForm { Terms = [new(left, right)] };
    }
}
