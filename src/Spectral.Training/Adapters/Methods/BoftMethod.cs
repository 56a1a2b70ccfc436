using System.Numerics;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// BOFT: factor i rotates blocks of inputs whose halves lie 2ⁱ half blocks apart. m factors thus mix blocks of blocks,
/// as a fast Fourier transform does.
/// </summary>
internal sealed class BoftMethod : AdapterMethod
{
    private const string Factors = "butterfly-factors";
    private const string R = "boft_R";
    private const string FormerR = "oft_r";
    private const string Scales = "boft_s";
    private const int LargestBlock = 256;
    private const int LargestFormer = 65536;

    public override string Name => "boft";
    public override string Formula =>
        "diag(s)·W·(M_m·…·M_1)ᵀ, M_i = P_i·diag(Q_i1 … Q_ib)·P_iᵀ with butterfly permutations P_i";
    public override string Source => "Liu et al., 2023, arXiv 2311.06243";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Bias("boft_only", former: "oft_only"),
        PeftField.FanInFanOut,
        PeftField.Start("init_weights"),
        .. PeftField.Ignored("boft_dropout", "module_dropout", "eps"),
        .. PeftField.Unsupported("coft", "block_share"),
        Former("r", BlockSizes.Number),
        Former("oft_block_size", BlockSizes.Size),
    ];
    public override string Use =>
        "Denser rotations than OFT's from small blocks: m·in·block numbers a layer. The weight is "
        + "recomputed each step, and its gradient costs as much as in full fine-tuning.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(
                BlockSizes.Size,
                4,
                2,
                LargestBlock,
                "Size of the rotations, rounded to the nearest divisor of all layers' inputs."
            ) with
            {
                PeftKey = "boft_block_size",
            },
            BlockSizes.NumberSetting("boft_block_num"),
            AdapterSetting.Whole(Factors, 1, 1, 16, "Number m of factors.") with
            {
                PeftKey = "boft_n_butterfly_factor",
            },
        ];

    /// <summary>
    /// The type OFT of PEFT 0.14 and 0.15 is BOFT with one factor. Later versions have no scales and cannot hold it.
    /// </summary>
    public override string? FormerPeftType => "OFT";

    /// <summary>
    /// The former names of tensors. PEFT 0.12 also stores BOFT's permutations, which follow from the sizes.
    /// </summary>
    public override IReadOnlyDictionary<string, string?> FormerLeaves { get; } =
        new Dictionary<string, string?>
        {
            ["boft_P"] = null,
            [FormerR] = R,
            ["oft_s"] = Scales,
        };

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all)
    {
        // The divisors of all layers' inputs are the divisors of their greatest common divisor.
        int common = all.Select(other => other.In).Aggregate((a, b) => (int)BigInteger.GreatestCommonDivisor(a, b));
        (string setting, int wanted) = options.Setting(this, BlockSizes.Number) is > 0 and var number
            ? (BlockSizes.Number, (int)number)
            : (BlockSizes.Size, (int)options.Setting(this, BlockSizes.Size));
        return options.With(setting, Divisors.Nearest(common, wanted));
    }

    /// <summary>
    /// Corrects the number of factors: without its CUDA extension PEFT uses one, whatever the config says.
    /// </summary>
    internal override AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        shape(R) is [1, _, _, _] ? options.With(Factors, 1) : options;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int size, int factors) = (BlockSizes.Of(layer), (int)layer.Setting(Factors));
        CayleyRotation.CheckOrder(layer, size, BlockSizes.Size, inverts: true);
        int blocks = layer.In / size;
        if (factors > 1 && (size % 2 != 0 || blocks % (1 << (factors - 1)) != 0))
        {
            throw new InputException(
                $"{Factors} {factors} for {layer.Module.Name} of {layer.In} inputs in blocks of {size}: "
                    + $"expected an even block, and a multiple of {1 << (factors - 1)} blocks"
            );
        }

        Expression r = layer.Trained(R, (factors, blocks, size, size)).Reshape((factors * blocks, size, size));
        Expression rotations = r.Add(r.Transpose(), 0.5, -0.5).Cayley().Reshape((factors * blocks * size, size));
        Expression weight = layer.Weight;
        for (int i = 0; i < factors; i++)
        {
            Expression rotation = rotations
                .Block(i * blocks * size, 0, blocks * size, size)
                .Reshape((blocks, size, size));
            weight = Butterfly(
                layer,
                Butterfly(layer, weight, i, size, inverse: true).MatMulBlocks(rotation, transpose: true),
                i,
                size,
                inverse: false
            );
        }
        return new AdapterForm { Weight = weight, OutputScale = layer.Trained(Scales, (layer.Out, 1), Start.Ones) };
    }

    /// <summary>
    /// Returns whether a config is that of OFT in PEFT 0.14 or 0.15, which had no choice of series yet.
    /// </summary>
    internal static bool IsFormerOft(JsonFields fields) =>
        fields.Has("oft_block_size") && !fields.Has("use_cayley_neumann");

    internal override bool Reads(JsonFields fields) => fields.Text("peft_type") == PeftType || IsFormerOft(fields);

    internal override IEnumerable<AdapterTensor> Unfold(IReadOnlyList<AdapterTensor> tensors, AdapterOptions options) =>
        tensors.Select(tensor =>
            tensor.Name.Contains($".{FormerR}", StringComparison.Ordinal)
                ? tensor with
                {
                    Shape = [1, .. tensor.Shape],
                }
                : tensor
        );

    /// <summary>Creates the field of a former key, which is 0 where the other of the two is in use.</summary>
    private static PeftField Former(string key, string setting) =>
        new(key)
        {
            Read = (fields, options) =>
                fields.Integer(key, 0, LargestFormer) is > 0 and var value ? options.With(setting, value) : options,
        };

    /// <summary>
    /// Reorders columns so that in each run of 2ⁱ blocks the even half blocks precede the odd ones; or reverses this.
    /// </summary>
    private static Expression Butterfly(AdapterBuilder layer, Expression weight, int factor, int size, bool inverse)
    {
        if (factor == 0)
            return weight;
        (int run, int pairs, int half) = (size << factor, 1 << factor, size / 2);
        int rows = layer.Out * (layer.In / run);
        return weight
            .Reshape(inverse ? (rows, 2, pairs, half) : (rows, pairs, 2, half))
            .Permute(0, 2, 1, 3)
            .Reshape((layer.Out, layer.In));
    }
}
