using Spectral.Bench.Counting;
using Spectral.Kernels;

namespace Spectral.Bench.Modes;

/// <summary>
/// Times our variants of the benchmark's scenarios in the three modes of the CPU device, in processor time on one
/// thread, which other work on the machine lengthens little. The modes take turns, a sample each per round, so that it
/// meets all alike.
/// </summary>
internal sealed class ModeRun : IDisposable
{
    private static readonly TimeSpan ShortestSample = TimeSpan.FromMilliseconds(5);

    private readonly Machine _source;
    private readonly Machine _ptx;
    private readonly int _rounds;

    /// <param name="target">Target of the PTX; null for the one that the device would load.</param>
    /// <param name="rounds">Samples of each mode.</param>
    /// <exception cref="ArgumentException">There is no PTX for the target.</exception>
    /// <exception cref="InvalidOperationException">There is no PTX in this build.</exception>
    public ModeRun(string? target, int rounds)
    {
        _ptx = Open(
            new CpuDeviceOptions
            {
                Kernels = CpuKernels.Ptx,
                PtxTarget = target,
                Threads = 1,
            }
        );
        _source = Open(new CpuDeviceOptions { Kernels = CpuKernels.Source, Threads = 1 });
        _rounds = rounds;
    }

    public string PtxTarget => _ptx.Device.PtxTarget!;

    /// <summary>
    /// Milliseconds of processor time to load every module of the target, one after the other, and how many there are.
    /// </summary>
    public (int Modules, double Milliseconds) LoadAll()
    {
        IReadOnlyDictionary<string, string> modules = KernelLibrary.Ptx(PtxTarget);
        TimeSpan start = Environment.CpuUsage.TotalTime;
        foreach (string ptx in modules.Values)
            KernelModule.Load(_ptx.Device, ptx).Dispose();
        return (modules.Count, (Environment.CpuUsage.TotalTime - start).TotalMilliseconds);
    }

    /// <summary>Times the cases and shapes that match a filter.</summary>
    /// <exception cref="UsageException">Nothing matches.</exception>
    public IEnumerable<ModeComparison> Compare(string filter) =>
        BenchCase
            .Choose(_source, filter)
            .Zip(BenchCase.Choose(_ptx, filter))
            .SelectMany(pair => Compare(pair.First.Case, pair.First.Plan, pair.Second.Plan));

    public void Dispose()
    {
        _source.Dispose();
        _ptx.Dispose();
    }

    private static Machine Open(CpuDeviceOptions options) => new(Device.Cpu(options), Extent.Counted);

    private IEnumerable<ModeComparison> Compare(BenchCase benchCase, Plan sourcePlan, Plan ptxPlan)
    {
        using Scenario source = sourcePlan.Prepare();
        using Scenario ptx = ptxPlan.Prepare();
        foreach ((Variant ofSource, Variant ofPtx) in source.Variants.Zip(ptx.Variants))
        {
            CountedVariant? counted = ScenarioCounter.Count(_ptx, benchCase, ptxPlan, ofPtx);
            // Where the library's products do most of the work, a ratio would say little of our kernels.
            if (counted is not { IsWhole: true })
                continue;
            string[] kernels = [.. counted.ByKernel.Select(kernel => kernel.Sum.Kernel)];
            var times = new ModeComparison(
                benchCase.Name,
                sourcePlan.Shape,
                ofSource.Name,
                kernels,
                new ModeTimes(),
                new ModeTimes(),
                new ModeTimes()
            );
            Time(times, ofSource, ofPtx);
            yield return times;
        }
    }

    private void Time(ModeComparison times, Variant source, Variant ptx)
    {
        int sourceCalls = Calls(_source.Device, source);
        int ptxCalls = Calls(_ptx.Device, ptx);
        for (int round = 0; round < _rounds; round++)
        {
            times.Source.Add(Sample(_source.Device, source, sourceCalls));
            times.Ptx.Add(Sample(_ptx.Device, ptx, ptxCalls));
            using var counting = new Counting.Counting(_ptx.Device, _ptx.Device.MultiprocessorCount);
            times.Counted.Add(Sample(_ptx.Device, ptx, ptxCalls));
        }
    }

    /// <summary>Calls that fill a sample, known from a second call: the first may load modules.</summary>
    private static int Calls(Device device, Variant variant)
    {
        Sample(device, variant, 1);
        double microseconds = Sample(device, variant, 1);
        return (int)Math.Clamp(ShortestSample.TotalMicroseconds / Math.Max(1, microseconds), 1, 1000);
    }

    private static double Sample(Device device, Variant variant, int calls)
    {
        TimeSpan start = Environment.CpuUsage.TotalTime;
        for (int call = 0; call < calls; call++)
            variant.Run(0);
        device.Synchronize();
        return (Environment.CpuUsage.TotalTime - start).TotalMicroseconds / calls;
    }
}
