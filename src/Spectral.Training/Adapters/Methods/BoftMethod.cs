using System.Numerics;

namespace Spectral.Training;

/// <summary>BOFT: factor i turns blocks of inputs that lie 2ⁱ half blocks apart, so that m factors mix blocks of blocks as a fast Fourier transform does.</summary>
internal sealed class BoftMethod : AdapterMethod
{
    private const string Factors = "butterfly-factors";
    private const string R = "boft_R";
    private const int LargestBlock = 256;

    public override string Name => "boft";
    public override string Formula => "diag(s)·W·(M_m·…·M_1)ᵀ, M_i = P_i·diag(Q_i1 … Q_ib)·P_iᵀ with butterfly permutations P_i";
    public override string Source => "Liu et al., 2023, arXiv 2311.06243";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Bias("boft_only"), PeftField.FanInFanOut, PeftField.Start("init_weights"),
        .. PeftField.Ignored("boft_dropout"),
    ];
    public override string Use => "Denser rotations than OFT's from small blocks: m·in·block numbers a layer. The weight is made anew each step, and its gradient costs what full fine-tuning's does.";

    public override IReadOnlyList<AdapterSetting> Settings =>
    [
        AdapterSetting.Whole(BlockSizes.Size, 4, 2, LargestBlock, "Size of the rotations; the nearest divisor of all layers' inputs.") with
        {
            PeftKey = "boft_block_size",
        },
        BlockSizes.NumberSetting("boft_block_num"),
        AdapterSetting.Whole(Factors, 1, 1, 16, "Factors m.") with { PeftKey = "boft_n_butterfly_factor" },
    ];

    /// <summary>PEFT 0.12 stores its permutations, which follow from the sizes.</summary>
    public override IReadOnlyDictionary<string, string?> FormerLeaves { get; } = new Dictionary<string, string?> { ["boft_P"] = null };

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all)
    {
        // A divisor of all layers' inputs is one of their greatest common divisor.
        var common = all.Select(other => other.In).Aggregate((a, b) => (int)BigInteger.GreatestCommonDivisor(a, b));
        var (setting, wanted) = options.Setting(this, BlockSizes.Number) is > 0 and var number
            ? (BlockSizes.Number, (int)number)
            : (BlockSizes.Size, (int)options.Setting(this, BlockSizes.Size));
        return options.With(setting, Divisors.Nearest(common, wanted));
    }

    /// <summary>Without its CUDA extension PEFT has one factor, whatever the config says.</summary>
    internal override AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        shape(R) is [1, _, _, _] ? options.With(Factors, 1) : options;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        var (size, factors) = (BlockSizes.Of(layer), (int)layer.Setting(Factors));
        CayleyRotation.CheckOrder(layer, size, BlockSizes.Size, inverts: true);
        var blocks = layer.In / size;
        if (factors > 1 && (size % 2 != 0 || blocks % (1 << (factors - 1)) != 0))
            throw new InputException($"{Factors} {factors} for {layer.Module.Name} of {layer.In} inputs in blocks of {size}: expected an even block, and a multiple of {1 << (factors - 1)} blocks");
        var r = layer.Trained(R, (factors, blocks, size, size)).Reshape((factors * blocks, size, size));
        var rotations = r.Add(r.Transpose(), 0.5, -0.5).Cayley().Reshape((factors * blocks * size, size));
        var weight = layer.Weight;
        for (var i = 0; i < factors; i++)
        {
            var rotation = rotations.Block(i * blocks * size, 0, blocks * size, size).Reshape((blocks, size, size));
            weight = Butterfly(layer, Butterfly(layer, weight, i, size, inverse: true).MatMulBlocks(rotation, transpose: true), i, size, inverse: false);
        }
        return new AdapterForm { Weight = weight, OutputScale = layer.Trained("boft_s", (layer.Out, 1), Start.Ones) };
    }

    /// <summary>Columns in an order that puts, in each run of 2ⁱ blocks, the even half blocks before the odd ones; or back.</summary>
    private static Expression Butterfly(AdapterBuilder layer, Expression weight, int factor, int size, bool inverse)
    {
        if (factor == 0)
            return weight;
        var (run, pairs, half) = (size << factor, 1 << factor, size / 2);
        var rows = layer.Out * (layer.In / run);
        return weight.Reshape(inverse ? (rows, 2, pairs, half) : (rows, pairs, 2, half)).Permute(0, 2, 1, 3).Reshape((layer.Out, layer.In));
    }
}
