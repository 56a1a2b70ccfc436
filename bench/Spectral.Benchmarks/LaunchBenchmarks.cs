using BenchmarkDotNet.Attributes;
using Spectral.Kernels;
using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;

namespace Spectral.Benchmarks;

/// <summary>
/// What the host pays before the device does anything: a launch, a tensor from the pool, a small layer's calls; time
/// and managed bytes. The queue is emptied between iterations, so that no call waits for the device. Beside a C
/// program: spectral-bench's case launch.
/// </summary>
[MemoryDiagnoser, InvocationCount(1), IterationCount(100), WarmupCount(100)]
public class LaunchBenchmarks
{
    private const int Calls = 500; // below the depth at which a GPU's queue makes the caller wait

    private BenchmarkDevice _device = null!;
    private Tensor _x = null!;
    private Tensor _weight = null!;
    private Tensor _y = null!;
    private Tensor _z = null!;
    private LowRankFactors _factors = null!;

    [GlobalSetup]
    public void Setup()
    {
        _device = new BenchmarkDevice();
        (_x, _weight, _y, _z) = (
            _device.Random((8, 8), DType.F32),
            _device.Random((8, 8), DType.F32),
            _device.Empty((8, 8), DType.F32),
            _device.Empty((8, 8), DType.F32)
        );
        _factors = new LowRankFactors(_device.Random((8, 8), DType.F32), null, _device.Random((8, 8), DType.F32));
    }

    [GlobalCleanup]
    public void Cleanup() => _device.Dispose();

    [IterationCleanup]
    public void Wait() => _device.Device.Synchronize();

    /// <summary>One block that has nothing to do. On the CPU device the launch itself is part of it.</summary>
    [Benchmark(OperationsPerInvoke = Calls)]
    public void Launch()
    {
        var args = new SpectralMiddleArgs();
        for (int i = 0; i < Calls; i++)
            SpectralMiddleArgs.Kernel.Launch(_device.Device, args, 1, 32);
    }

    [Benchmark(OperationsPerInvoke = Calls)]
    public void AllocateAndFree()
    {
        for (int i = 0; i < Calls; i++)
            Tensor.Empty(_device.Device, (64, 64)).Dispose();
    }

    /// <summary>
    /// Checks, choice of the variant and three library calls on matrices of 8 × 8, whose arithmetic costs next to
    /// nothing.
    /// </summary>
    [Benchmark(OperationsPerInvoke = Calls)]
    public void ForwardOfATinyLayer()
    {
        for (int i = 0; i < Calls; i++)
            LowRankLinear.Forward(_x, _weight, null, _factors, _y, _z);
    }
}
