using BenchmarkDotNet.Attributes;
using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Benchmarks;

/// <summary>
/// The low-rank linear layer beside the plain frozen product: 1024 tokens, rank 16. On the CPU device these are times
/// of the CPU.
/// </summary>
public class LowRankLinearBenchmarks
{
    private const int Tokens = 1024;
    private const int Rank = 16;

    private BenchmarkDevice _device = null!;
    private Tensor _x = null!;
    private Tensor _weight = null!;
    private Tensor _y = null!;
    private Tensor _z = null!;
    private Tensor _dx = null!;
    private Tensor _dLeft = null!;
    private Tensor _dRight = null!;
    private LowRankFactors _factors = null!;

    /// <summary>Input and output features.</summary>
    [Params("512x512", "512x1376", "1376x512")]
    public string Layer { get; set; } = "";

    [Params(DType.F32, DType.BF16)]
    public DType Type { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        int[] sizes = Array.ConvertAll(Layer.Split('x'), int.Parse);
        (int inputs, int outputs) = (sizes[0], sizes[1]);
        _device = new BenchmarkDevice();
        _x = _device.Random((Tokens, inputs), Type);
        _weight = _device.Random((outputs, inputs), Type, 1 / MathF.Sqrt(inputs));
        _factors = new LowRankFactors(
            _device.Random((outputs, Rank), Type, 0.25f),
            null,
            _device.Random((Rank, inputs), Type, 1 / MathF.Sqrt(inputs)),
            2
        );
        (_y, _z, _dx) = (
            _device.Random((Tokens, outputs), Type),
            _device.Empty((Tokens, Rank), Type),
            _device.Empty((Tokens, inputs), Type)
        );
        (_dLeft, _dRight) = (_device.Empty((outputs, Rank), DType.F32), _device.Empty((Rank, inputs), DType.F32));

        (float[] x, float[] weight, float[] left, float[] right) = (
            _x.ToArray(),
            _weight.ToArray(),
            _factors.Left.ToArray(),
            _factors.Right.ToArray()
        );
        foreach (LowRankVariant variant in Enum.GetValues<LowRankVariant>())
        {
            Forward(variant);
            BenchmarkDevice.Verify(
                _y,
                (row, column) =>
                {
                    double sum = 0;
                    for (int k = 0; k < inputs; k++)
                        sum += (double)x[row * inputs + k] * weight[column * inputs + k];
                    for (int i = 0; i < Rank; i++)
                    {
                        for (int k = 0; k < inputs; k++)
                            sum += 2.0 * x[row * inputs + k] * right[i * inputs + k] * left[column * Rank + i];
                    }

                    return sum;
                },
                Type == DType.F32 ? 1e-4 : 0.1
            );
        }
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        LowRankLinear.Force(_device.Device, null);
        _device.Dispose();
    }

    [Benchmark(Baseline = true)]
    public void Plain()
    {
        Gemm.Run(_x, Gemm.Transposed(_weight), _y);
        _device.Device.Synchronize();
    }

    [Benchmark]
    public void ComposedA() => Forward(LowRankVariant.ComposedA);

    [Benchmark]
    public void ComposedB() => Forward(LowRankVariant.ComposedB);

    /// <summary>In F32 the rule makes this composed-b.</summary>
    [Benchmark]
    public void Portable() => Forward(LowRankVariant.Portable);

    [Benchmark]
    public void BackwardPlain()
    {
        Gemm.Run(_y, _weight, _dx);
        _device.Device.Synchronize();
    }

    [Benchmark]
    public void BackwardComposedA() => Backward(LowRankVariant.ComposedA);

    [Benchmark]
    public void BackwardComposedB() => Backward(LowRankVariant.ComposedB);

    [Benchmark]
    public void BackwardPortable() => Backward(LowRankVariant.Portable);

    private void Forward(LowRankVariant variant)
    {
        LowRankLinear.Force(_device.Device, variant);
        LowRankLinear.Forward(_x, _weight, null, _factors, _y, _z);
        _device.Device.Synchronize();
    }

    private void Backward(LowRankVariant variant)
    {
        LowRankLinear.Force(_device.Device, variant);
        LowRankLinear.Backward(_x, _weight, _factors, _z, _y, _dx, new LowRankGradients(_dLeft, 0, null, _dRight));
        _device.Device.Synchronize();
    }
}
