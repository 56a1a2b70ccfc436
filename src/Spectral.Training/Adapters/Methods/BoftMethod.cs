namespace Spectral.Training;

/// <summary>BOFT: factor i turns blocks of inputs that lie 2ⁱ half blocks apart, so that m factors mix blocks of blocks as a fast Fourier transform does.</summary>
internal sealed class BoftMethod : AdapterMethod
{
    private const string BlockSize = "block-size";
    private const string Factors = "butterfly-factors";

    public override string Name => "boft";
    public override string Formula => "diag(s)·W·(M_m·…·M_1)ᵀ, M_i = P_i·diag(Q_i1 … Q_ib)·P_iᵀ with butterfly permutations P_i";
    public override string Source => "Liu et al., 2023, arXiv 2311.06243";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Bias("boft_only"), PeftField.FanInFanOut, PeftField.Start("init_weights"),
        .. PeftField.Ignored("boft_block_num", "boft_dropout"),   // the number is zero where the size is not
    ];
    public override string Use => "Denser rotations than OFT's from small blocks: m·in·block numbers a layer. The weight is made anew each step, and its gradient costs what full fine-tuning's does.";

    public override IReadOnlyList<AdapterSetting> Settings =>
    [
        AdapterSetting.Whole(BlockSize, 4, 2, 256, "Size of the rotations; the nearest divisor of a layer's inputs.") with { PeftKey = "boft_block_size" },
        AdapterSetting.Whole(Factors, 1, 1, 16, "Factors m.") with { PeftKey = "boft_n_butterfly_factor" },
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        var (size, factors) = (Divisors.Nearest(layer.In, (int)layer.Setting(BlockSize)), (int)layer.Setting(Factors));
        CayleyRotation.CheckOrder(layer, size, BlockSize, inverts: true);
        var blocks = layer.In / size;
        if (factors > 1 && (size % 2 != 0 || blocks % (1 << (factors - 1)) != 0))
            throw new InputException($"{Factors} {factors} for {layer.Module.Name} of {layer.In} inputs in blocks of {size}: expected an even block, and a multiple of {1 << (factors - 1)} blocks");
        var r = layer.Trained("boft_R", (factors, blocks, size, size)).Reshape((factors * blocks, size, size));
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
