using BenchmarkDotNet.Attributes;
using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Benchmarks;

/// <summary>
/// Rescaling singular values of a 1024 × 1024 weight: the middle vector, the gradient of δ, and merging the update.
/// </summary>
public class SpectralRescaleBenchmarks
{
    private const int Side = 1024;
    private const int Directions = 8;
    private const int Rank = 8;

    private BenchmarkDevice _device = null!;
    private Tensor _weight = null!;
    private Tensor _merged = null!;
    private Tensor _sigma = null!;
    private Tensor _delta = null!;
    private Tensor _middle = null!;
    private Tensor _gradient = null!;
    private LowRankFactors _factors = null!;

    [Params(DType.F32, DType.BF16)]
    public DType Type { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _device = new BenchmarkDevice();
        (_weight, _merged) = (_device.Random((Side, Side), Type), _device.Empty((Side, Side), Type));
        (_sigma, _delta, _gradient) = (
            _device.Random(Directions, DType.F32),
            _device.Random(Directions, DType.F32),
            _device.Empty(Directions, DType.F32)
        );
        _middle = _device.Empty(Directions + Rank, DType.F32);
        _factors = new LowRankFactors(
            _device.Random((Side, Directions + Rank), Type),
            _middle,
            _device.Random((Directions + Rank, Side), Type)
        );
        Middle();
        Merge();
        (float[] weight, float[] left, float[] c, float[] right) = (
            _weight.ToArray(),
            _factors.Left.ToArray(),
            _middle.ToArray(),
            _factors.Right.ToArray()
        );
        BenchmarkDevice.Verify(
            _merged,
            (row, column) =>
                weight[row * Side + column]
                + Enumerable
                    .Range(0, c.Length)
                    .Sum(i => (double)left[row * c.Length + i] * c[i] * right[i * Side + column]),
            Type == DType.F32 ? 1e-4 : 0.5
        );
    }

    [GlobalCleanup]
    public void Cleanup() => _device.Dispose();

    [Benchmark]
    public void Middle()
    {
        SpectralRescale.Middle(_sigma, _delta, 2, _middle);
        _device.Device.Synchronize();
    }

    [Benchmark]
    public void DeltaGradient()
    {
        SpectralRescale.DeltaGradient(_delta, _sigma, _gradient);
        _device.Device.Synchronize();
    }

    [Benchmark]
    public void Merge()
    {
        LowRank.Merge(_weight, _factors, _merged);
        _device.Device.Synchronize();
    }
}
