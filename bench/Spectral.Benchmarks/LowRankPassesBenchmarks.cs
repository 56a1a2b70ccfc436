using BenchmarkDotNet.Attributes;
using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Benchmarks;

/// <summary>The skinny passes by BLAS and by kernel, 1024 tokens of 512 features.</summary>
public class LowRankPassesBenchmarks
{
    private const int Tokens = 1024;
    private const int Features = 512;

    private BenchmarkDevice _device = null!;
    private Tensor _x = null!;
    private Tensor _z = null!;
    private Tensor _g = null!;
    private Tensor _dLeft = null!;
    private Tensor _dRight = null!;
    private LowRankFactors _factors = null!;

    [Params(8, 64)]
    public int Rank { get; set; }

    [Params(DType.F32, DType.BF16)]
    public DType Type { get; set; }

    [Params(LowRankPassKind.Blas, LowRankPassKind.Kernels)]
    public LowRankPassKind Passes { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _device = new BenchmarkDevice();
        _x = _device.Random((Tokens, Features), Type);
        _factors = new LowRankFactors(
            _device.Random((Features, Rank), Type),
            null,
            _device.Random((Rank, Features), Type)
        );
        (_z, _g) = (_device.Empty((Tokens, Rank), Type), _device.Empty((Tokens, Rank), Type));
        (_dLeft, _dRight) = (_device.Empty((Features, Rank), DType.F32), _device.Empty((Rank, Features), DType.F32));
        LowRank.ForcePasses(_device.Device, Passes);
        Project();
        (float[] x, float[] right) = (_x.ToArray(), _factors.Right.ToArray());
        BenchmarkDevice.Verify(
            _z,
            (row, column) =>
                Enumerable.Range(0, Features).Sum(k => (double)x[row * Features + k] * right[column * Features + k]),
            Type == DType.F32 ? 1e-3 : 0.5
        );
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        LowRank.ForcePasses(_device.Device, null);
        _device.Dispose();
    }

    [Benchmark]
    public void Project()
    {
        LowRank.Project(_x, _factors.Right, _z);
        _device.Device.Synchronize();
    }

    [Benchmark]
    public void OutputGradients()
    {
        LowRank.OutputGradients(_x, _factors, _z, _g, null, new LowRankGradients(_dLeft));
        _device.Device.Synchronize();
    }

    [Benchmark]
    public void InputGradient()
    {
        LowRank.InputGradient(_z, _x, [(_dRight, 0)]);
        _device.Device.Synchronize();
    }
}
