using Spectral.Kernels;
using Spectral.Training.Adapters.Building;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SMT: whole blocks of the weight train, those in which the mean of the gradient on calibration data is largest by
/// magnitude. Every layer gets the same number, where the paper shares a number out over all layers.
/// </summary>
internal sealed class SmtMethod : AdapterMethod
{
    private const string Size = "block-size";
    private const string Number = "blocks";

    public override string Name => "smt";
    public override string Formula =>
        "W + S, S zero except for trained blocks: those with the largest |mean of the gradient over the block|";
    public override string Source => "He et al., 2024, arXiv 2405.15525";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "Full fine-tuning of the blocks that the data ask to change. A block of 256 × 256 has as many entries as a "
        + "LoRA of rank 8 on a layer of 4096 × 4096. Rank and alpha are not used.";
    public override bool StartsFromData => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(
            Size,
            256,
            1,
            65536,
            "Rows and columns of a block: the largest number up to this that divides both of a layer's sizes."
        ),
        AdapterSetting.Whole(Number, 1, 1, 65536, "Number of blocks that train in each layer."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        long size = Divisors.Common((int)layer.Setting(Size), layer.Out, layer.In);
        return SparseMasks.Form(layer, (long)layer.Setting(Number) * size * size);
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        IEnumerable<Tensor> gradients = starts[0].Calibration.Gradients([.. starts.Select(start => start.Module.Name)]);
        foreach ((AdapterStart start, Tensor gradient) in starts.Zip(gradients))
        {
            using (gradient)
            {
                int size = Divisors.Common((int)start.Options.Setting(this, Size), start.Module.Out, start.Module.In);
                int[] blocks = Largest(gradient, size, (int)start.Options.Setting(this, Number));
                start[SparseMasks.Places].CopyFrom(Entries(blocks, size, start.Module.In));
            }
        }
    }

    /// <summary>
    /// Returns the blocks, counted row by row, with the largest |Σ G|; of equal ones the first. The gradient passes
    /// through the host, which happens only once.
    /// </summary>
    private static int[] Largest(Tensor gradient, int size, int count)
    {
        (float[] values, int columns) = (gradient.ToArray(), gradient.Dim(1));
        int across = columns / size;
        double[] sums = new double[gradient.Dim(0) / size * across];
        for (int i = 0; i < values.Length; i++)
            sums[i / columns / size * across + i % columns / size] += values[i];
        return [.. Enumerable.Range(0, sums.Length).OrderByDescending(block => Math.Abs(sums[block])).Take(count)];
    }

    private static int[] Entries(int[] blocks, int size, int columns)
    {
        int across = columns / size;
        IEnumerable<int> places =
            from block in blocks
            let first = block / across * size * columns + block % across * size
            from row in Enumerable.Range(0, size)
            from column in Enumerable.Range(0, size)
            select first + row * columns + column;
        return [.. places.Order()];
    }
}
