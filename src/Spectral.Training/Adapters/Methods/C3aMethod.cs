using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// C3A: circular convolutions of blocks. The kernels start at zero, which is one of PEFT's choices; there is no
/// symmetry that random values would have to break.
/// </summary>
internal sealed class C3aMethod : AdapterMethod
{
    private const string BlockSize = "block-size";
    private const string Kernel = "c3a_kernel";
    private const int LargestBlock = 1024;

    public override string Name => "c3a";
    public override string Formula =>
        "W + ΔW/in, ΔW of circulant blocks [b, b]: element (i, j) of one is w[(j − i) mod b]";
    public override string Source => "Chen et al., 2024, arXiv 2407.19342";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [PeftField.Bias("c3a_only"), PeftField.Start("init_weights")];
    public override string Use =>
        "out·in/b numbers a layer at full rank. The weight is recomputed each step, and its gradient "
        + "costs as much as in full fine-tuning.";

    public override IReadOnlyList<AdapterSetting> Settings =>
        [
            AdapterSetting.Whole(
                BlockSize,
                256,
                1,
                LargestBlock,
                "Block size b: the largest number up to this that divides a layer's inputs and outputs."
            ) with
            {
                PeftKey = "block_size",
                PeftPatternKey = "block_size_pattern",
            },
        ];

    /// <inheritdoc/>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all) =>
        options.With(BlockSize, Divisors.Common((int)options.Setting(this, BlockSize), module.Out, module.In));

    internal override AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        shape(Kernel) is [_, _, >= 1 and <= LargestBlock and var size] ? options.With(BlockSize, size) : options;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int b = Divisors.Common((int)layer.Setting(BlockSize), layer.Out, layer.In);
        (int down, int across) = (layer.Out / b, layer.In / b);
        Factor kernel = layer.Trained(Kernel, (down, across, b));
        // This is a product with zeros and ones, b multiplications per element. A table of indices would cost several
        // times the weight's memory.
        Expression blocks = kernel.Reshape((down * across, b)).MatMul(kernel.Table((b, b * b), "circulant", Circulant));
        Expression change = blocks.Reshape((down, across, b, b)).Permute(0, 2, 1, 3).Reshape((layer.Out, layer.In));
        return new AdapterForm { Weight = layer.Weight.Add(change, 1, 1.0 / layer.In) };

        float[] Circulant() =>
            [.. Enumerable.Range(0, b * b * b).Select(at => (at % b - at / b % b + b) % b == at / (b * b) ? 1f : 0)];
    }
}
