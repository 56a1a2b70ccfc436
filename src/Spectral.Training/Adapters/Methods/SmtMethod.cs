using Spectral.Kernels;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Calibration;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// SMT: whole blocks of the weights train, those of all layers together in which the mean of the gradient on
/// calibration data is largest by magnitude. A layer without any gets no adapter.
/// </summary>
/// <remarks>
/// The rank of a layer is the number of its blocks. Gradients are computed twice, once to share the blocks out and once
/// to write their places: keeping them would take the memory of all weights.
/// </remarks>
internal sealed class SmtMethod : AdapterMethod
{
    private const string Size = "block-size";

    public override string Name => "smt";
    public override string Formula =>
        "W + S, S zero except for trained blocks: the rank·layers of all layers with the largest |mean of the gradient "
        + "over the block|";
    public override string Source => "He et al., 2024, arXiv 2405.15525";
    public override string Use =>
        "Full fine-tuning of the blocks that the data ask to change; rank is the mean number of blocks of a layer. The "
        + "authors take the layers q, k and v, and gradients summed over 100 warm-up steps, where these are those of "
        + "the base on calibration records. A block of 256 × 256 has as many entries as a LoRA of rank 8 on a layer of "
        + "4096 × 4096. Alpha is not used.";
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
    ];

    public override IReadOnlyList<AdapterOptions?> Distribute(
        IReadOnlyList<ModuleShape> modules,
        AdapterOptions options,
        ICalibration? calibration
    )
    {
        if (options.Rank < 1)
            throw new InputException($"rank {options.Rank}: {Name} needs a rank of at least 1");
        IEnumerable<(double Mean, int Layer)> blocks = Means(calibration!, modules, options)
            .SelectMany((means, layer) => means.Select(mean => (mean, layer)));
        int[] counts = new int[modules.Count];
        // Of equal ones the first, in model order, as within a layer below.
        foreach (
            (double _, int layer) in blocks
                .OrderByDescending(block => block.Mean)
                .Take(checked(options.Rank * modules.Count))
        )
        {
            counts[layer]++;
        }

        return [.. counts.Select(count => count == 0 ? null : options with { Rank = count })];
    }

    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all)
    {
        long size = SizeIn(module, options);
        return options with { Rank = (int)Math.Min(options.Rank, module.Out / size * (module.In / size)) };
    }

    public override AdapterForm Form(AdapterBuilder layer)
    {
        long size = SizeIn(layer.Module, layer.Options);
        return SparseMasks.Form(layer, layer.Rank * size * size);
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        IEnumerable<double[]> layers = Means(
            starts[0].Calibration,
            [.. starts.Select(start => start.Module)],
            starts[0].Options
        );
        foreach ((AdapterStart start, double[] means) in starts.Zip(layers))
        {
            IEnumerable<int> blocks = Enumerable
                .Range(0, means.Length)
                .OrderByDescending(block => means[block])
                .Take(start.Options.Rank);
            int[] places = Entries(blocks, SizeIn(start.Module, start.Options), start.Module.In);
            start[SparseMasks.Places].CopyFrom(places);
        }
    }

    private int SizeIn(ModuleShape module, AdapterOptions options) =>
        Divisors.Common((int)options.Setting(this, Size), module.Out, module.In);

    /// <summary>
    /// Returns |mean of G| of each layer's blocks, counted row by row. The gradients pass through the host, layer by
    /// layer.
    /// </summary>
    private IEnumerable<double[]> Means(
        ICalibration calibration,
        IReadOnlyList<ModuleShape> modules,
        AdapterOptions options
    )
    {
        IEnumerable<Tensor> gradients = calibration.Gradients([.. modules.Select(module => module.Name)]);
        foreach ((ModuleShape module, Tensor gradient) in modules.Zip(gradients))
        {
            using (gradient)
                yield return Means(gradient, SizeIn(module, options));
        }
    }

    private static double[] Means(Tensor gradient, int size)
    {
        (float[] values, int columns) = (gradient.ToArray(), gradient.Dim(1));
        int across = columns / size;
        double[] means = new double[gradient.Dim(0) / size * across];
        for (int i = 0; i < values.Length; i++)
            means[i / columns / size * across + i % columns / size] += values[i];
        return Array.ConvertAll(means, sum => Math.Abs(sum / size / size));
    }

    private static int[] Entries(IEnumerable<int> blocks, int size, int columns)
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
