using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// VB-LoRA: pieces of LoRA's factors are mixtures from a bank of vectors that the whole model shares.
/// </summary>
internal sealed class VbLoraMethod : AdapterMethod
{
    private const string Count = "num-vectors";
    private const string Length = "vector-length";
    private const string TopK = "top-vectors";
    private const string Bank = "vblora_vector_bank";
    private const string Indices = "_topk_indices";
    private const string Weights = "_topk_weights";

    // The logit of vectors that a file does not name: below the logarithm of any weight, and finite, so that it can be
    // saved again.
    private const float NotChosen = -1e4f;

    public override string Name => "vb-lora";
    public override string PeftType => "VBLORA";
    public override string Formula =>
        "W + B·A, their pieces mixed by softmax from the k vectors of a shared bank with the largest logits";
    public override string Source => "Li et al., 2024, arXiv 2405.15179";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(4),
        PeftField.Dropout("vblora_dropout"),
        PeftField.Bias("vblora_only"),
        PeftField.FanInFanOut,
        PeftField.Written("save_only_topk_weights", false),
        .. PeftField.Ignored("init_vector_bank_bound", "init_logits_std"),
    ];
    public override string Use =>
        "A shared bank, and a mixture of k of its vectors for each piece. A piece has n logits, "
        + "which train and which files hold. The weight is slightly changed from the start.";
    public override bool StartsAtBase => false;

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(Count, 256, 1, 1 << 16, "Number of vectors in the bank.") with
            {
                PeftKey = "num_vectors",
            },
            AdapterSetting.Whole(
                Length,
                256,
                1,
                1 << 16,
                "Length of a vector: the largest number up to this that divides all layers' inputs and outputs."
            ) with
            {
                PeftKey = "vector_length",
            },
            AdapterSetting.Whole(TopK, 2, 1, TopKMixture.MostChosen, "Number of vectors mixed into a piece.") with
            {
                PeftKey = "topk",
            },
        ];

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        options
            .With(Length, Common((int)options.Setting(this, Length), all))
            .With(TopK, Math.Min(options.Setting(this, Count), options.Setting(this, TopK)));

    internal override AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        shape(Bank) is [_, >= 1 and <= 1 << 16 and var length] ? options.With(Length, length) : options;

    /// <summary>
    /// Converts files of save_only_topk_weights. They hold the indices of the chosen vectors and all except the last of
    /// their weights instead of logits. The logarithms of the weights are logits with the same mixture.
    /// </summary>
    internal override IEnumerable<AdapterTensor> Unfold(IReadOnlyList<AdapterTensor> tensors, AdapterOptions options)
    {
        var byName = tensors.ToDictionary(tensor => tensor.Name);
        int count = (int)options.Setting(this, Count);
        foreach (AdapterTensor tensor in tensors)
        {
            if (Stem(tensor.Name, Weights) is { } weighed && byName.ContainsKey(weighed + Indices))
                continue;
            if (Stem(tensor.Name, Indices) is not { } name)
            {
                yield return tensor;
                continue;
            }
            if (
                !byName.TryGetValue(name + Weights, out AdapterTensor? weights)
                || !AreOneLess(weights.Shape, tensor.Shape)
            )
            {
                throw new InputException(
                    $"{tensor.Path}: tensor {InputText.Quote(tensor.Name)} is "
                        + $"{InputText.Shape([.. tensor.Shape])}, expected beside it {InputText.Quote(name + Weights)} "
                        + "with one column fewer"
                );
            }

            long[] shape = [.. tensor.Shape.SkipLast(1), count];
            yield return new AdapterTensor(
                tensor.Path,
                name,
                StoredType.F32,
                shape,
                () => Logits(tensor, weights, count)
            );
        }
    }

    private static string? Stem(string name, string ending) =>
        name.EndsWith(ending, StringComparison.Ordinal) ? name[..^ending.Length] : null;

    private static bool AreOneLess(IReadOnlyList<long> weights, IReadOnlyList<long> indices) =>
        indices.Count > 0 && weights.SequenceEqual([.. indices.SkipLast(1), indices[^1] - 1]);

    private static int Common(int wanted, IReadOnlyList<ModuleShape> modules) =>
        Divisors.Common(wanted, Divisors.Sizes(modules));

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        int n = (int)layer.Setting(Count);
        int k = Math.Min(n, (int)layer.Setting(TopK));
        int length = Common((int)layer.Setting(Length), layer.AllModules);
        (int across, int down) = (layer.In / length, layer.Out / length);
        Factor bank = layer.Shared(Bank, (n, length), true, Start.Uniform(0.02));
        Factor a = layer.Trained("vblora_logits_A", (rank, across, n), Start.Normal(0.1));
        Factor b = layer.Trained("vblora_logits_B", (down, rank, n), Start.Normal(0.1));
        Expression right = a.Reshape((rank * across, n)).TopKMixture(bank, k).Reshape((rank, layer.In));
        Expression left = b.Reshape((down * rank, n))
            .TopKMixture(bank, k)
            .Reshape((down, rank, length))
            .Transpose()
            .Reshape((layer.Out, rank));
        return new AdapterForm { Terms = [new(left, right)] };
    }

    private static float[] Logits(AdapterTensor indices, AdapterTensor weights, int count)
    {
        (long[] numbers, float[] values, int k) = (
            indices.Source!.ToIntegers(),
            weights.ToFloats(),
            (int)indices.Shape[^1]
        );
        float[] logits = new float[numbers.Length / k * count];
        Array.Fill(logits, NotChosen);
        for (int row = 0; row < numbers.Length / k; row++)
        {
            double rest = 1.0;
            for (int i = 0; i < k; i++)
            {
                long vector = numbers[row * k + i];
                if (vector < 0 || vector >= count)
                {
                    throw new InputException(
                        $"{indices.Path}: tensor {InputText.Quote(indices.Name)} names vector {vector}, expected "
                            + $"0 to {count - 1}"
                    );
                }

                double weight = i == k - 1 ? rest : values[row * (k - 1) + i];
                rest -= weight;
                logits[row * count + vector] = (float)Math.Max(Math.Log(Math.Max(weight, 0)), NotChosen);
            }
        }
        return logits;
    }
}
