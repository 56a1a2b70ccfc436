using BenchmarkDotNet.Attributes;
using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;

namespace Spectral.Benchmarks;

/// <summary>
/// Truncated SVD of a random normal matrix, 32 triplets. The first case, a sketch of 42 vectors and two power
/// iterations, is the one to compare with scikit-learn's <c>randomized_svd(a, 32, n_oversamples=10, n_iter=2)</c> on
/// the same number of threads.
/// </summary>
public class SvdBenchmarks
{
    private const int Side = 2048;
    private const int Small = 256;
    private const int Rank = 32;

    private static readonly RandomizedSvdOptions Preview = new() { Oversample = 10, PowerIterations = 2 };

    private BenchmarkDevice _device = null!;
    private Tensor _large = null!;
    private Tensor _small = null!;
    private Tensor _basis = null!;
    private Tensor _rows = null!;

    [GlobalSetup]
    public void Setup()
    {
        _device = new BenchmarkDevice();
        (_large, _small) = (_device.Random((Side, Side), DType.F32), _device.Random((Small, Small), DType.F32));
        (_rows, _basis) = (
            _device.Random((Rank + Preview.Oversample, Side), DType.F32),
            _device.Empty((Rank + Preview.Oversample, Side), DType.F32)
        );
        using SvdResult large = RandomizedSvd.Compute(_large, Rank, Preview);
        using SvdResult small = ExactSvd.Compute(_small, Rank);
        foreach (SvdResult result in new[] { large, small })
        {
            using var gram = Tensor.Empty(_device.Device, (Rank, Rank));
            Gemm.Run(result.Vt, Gemm.Transposed(result.Vt), gram);
            BenchmarkDevice.Verify(gram, (row, column) => row == column ? 1 : 0, 1e-5);
        }
    }

    [GlobalCleanup]
    public void Cleanup() => _device.Dispose();

    [Benchmark]
    public void Randomized2048TwoIterations() => RandomizedSvd.Compute(_large, Rank, Preview).Dispose();

    [Benchmark]
    public void Exact256() => ExactSvd.Compute(_small, Rank).Dispose();

    [Benchmark]
    public OrthonormalizationMethod Orthonormalize() => Orthonormalization.Rows(_rows, _basis);
}
