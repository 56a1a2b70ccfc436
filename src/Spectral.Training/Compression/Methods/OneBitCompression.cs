using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Numerics;
using Spectral.Training.Packing;
using Spectral.Training.Settings;

namespace Spectral.Training.Compression.Methods;

/// <summary>Factors of a LoRA in one bit an entry, or a few.</summary>
internal sealed class OneBitCompression : CompressionMethod
{
    private const string Bits = "bits";

    public override string Name => "one-bit";

    public override string Formula =>
        "w ≈ μ + σ q((w − μ)/σ) in each factor, q the normal level of the cell: ±0.6745 in one bit";

    public override string Source =>
        "Jie, Wang and Deng, \"Revisiting the Parameter Efficiency of Adapters from the Perspective of Precision "
        + "Redundancy\", ICCV 2023, arXiv 2307.16867";

    public override string Use =>
        "Stores an adapter that is a sum of low-rank terms in a thirty-second of its bits. Trained with the adapter "
        + "method one-bit in as many bits, it loses nothing; a LoRA that was not loses much. A factor that has no more "
        + "different values than levels keeps them exactly.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [Setting.Whole(Bits, 1, 1, NormalLevels.MostBits, "Bits of each entry of both factors.")];

    internal override CompressionResult Write(CompressionRun run)
    {
        using PlainLoraConversion adapter = new(run.Input, run.Device, run.Model);
        List<LoraFactors> rounded = [];
        List<(double Lost, double All)> squares = [];
        foreach (AdaptedModule module in adapter.Modules)
        {
            run.Cancellation.ThrowIfCancellationRequested();
            (float[] left, float[] right) = adapter.Factors(module);
            float[] l = Round(left, (int)run.Setting(Bits));
            float[] r = Round(right, (int)run.Setting(Bits));
            rounded.Add(LoraFactors.Of(module, l, r));
            squares.Add(Compare(run.Device, module, left, right, l, r));
            run.Progress?.Invoke(new CompressionProgress(rounded.Count, adapter.Modules.Count, module.Shape.Name));
        }

        PlainLora lora = adapter.Compose(run.Options.Type ?? StoredType.F32, rounded);
        PackedTensor[] packed =
        [
            .. lora.Factors.Select(factor => CodebookCodec.Pack(factor.Name, factor.Shape, factor.Read())),
        ];
        AdapterFolder.WritePacked(run.Output, lora.Config, run.Description(), packed, lora.Others);
        CompressedLayer[] layers =
        [
            .. rounded.Select(
                (factors, i) =>
                {
                    ModuleShape shape = factors.Module.Shape;
                    double bits = (double)(packed[2 * i].Bits + packed[(2 * i) + 1].Bits) / shape.Out / shape.In;
                    double error = CompressionRun.Share(squares[i].Lost, squares[i].All);
                    return new CompressedLayer(shape.Name, shape.Out, shape.In, error, bits)
                    {
                        RankBefore = factors.Rank,
                        Rank = factors.Rank,
                    };
                }
            ),
        ];
        return run.Result(
            layers,
            CompressionRun.Share(squares.Sum(pair => pair.Lost), squares.Sum(pair => pair.All)),
            packed.Length + lora.Others.Count,
            adapter.Warnings
        );
    }

    private static float[] Round(float[] values, int bits)
    {
        var levels = NormalLevels.Of(bits);
        if (values.Distinct().Take(levels.Centres.Length + 1).Count() <= levels.Centres.Length)
            return values;
        double mean = values.Average(value => (double)value);
        double squares = values.Sum(value => (value - mean) * (value - mean));
        double deviation = Math.Sqrt(squares / (values.Length - 1));
        return Array.ConvertAll(
            values,
            value => (float)(mean + (deviation * levels.Centres[levels.CellOf((value - mean) / deviation)]))
        );
    }

    /// <summary>Returns the squared norms of L R − L̂ R̂ = [L, −L̂] [R; R̂] and of L R.</summary>
    private static (double Lost, double All) Compare(
        Device device,
        AdaptedModule module,
        float[] left,
        float[] right,
        float[] roundedLeft,
        float[] roundedRight
    )
    {
        (int outputs, int rank, int inputs) = (module.Shape.Out, module.Form.Rank, module.Shape.In);
        float[] both = new float[2 * left.Length];
        for (int row = 0; row < outputs; row++)
        {
            for (int i = 0; i < rank; i++)
            {
                both[(2 * rank * row) + i] = left[(rank * row) + i];
                both[(2 * rank * row) + rank + i] = -roundedLeft[(rank * row) + i];
            }
        }
        return (
            ProductSvd.Of(device, both, [.. right, .. roundedRight], outputs, 2 * rank, inputs).Tail(0),
            ProductSvd.Of(device, left, right, outputs, rank, inputs).Tail(0)
        );
    }
}
