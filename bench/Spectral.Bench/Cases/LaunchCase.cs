using System.Diagnostics;
using System.Globalization;
using Spectral.Kernels;
using Spectral.Kernels.Interop;

namespace Spectral.Bench.Cases;

/// <summary>
/// What the host pays for one launch: time until the call returns, while the device's queue has room, from C# and from
/// a C program that makes the same calls (a current context, one cuLaunchKernel). The kernel is one block with nothing
/// to do.
/// </summary>
internal sealed class LaunchCase : BenchCase
{
    private const int LaunchesPerSample = 500; // below the depth at which a GPU's queue makes the caller wait

    // until the runtime has compiled the call for good
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.4);

    private const string Program = "spectral_launch_cost";

    public override string Name => "launch";
    public override int Target => 10;
    public override string Description => "Host cost of one kernel launch, C# beside C, and managed bytes per launch.";

    public override IEnumerable<Plan> Plans(Machine machine) => [new Plan("one empty block", () => Prepare(machine))];

    private static Scenario Prepare(Machine machine)
    {
        var scenario = new Scenario();
        var args = new SpectralMiddleArgs();
        string program = Path.Combine(AppContext.BaseDirectory, Program);
        scenario.Variants.Add(
            File.Exists(program)
                ? new Variant("C", _ => { })
                {
                    Role = Role.Plain,
                    Check = () => null,
                    Measure = samples => InC(machine, program, samples),
                }
                : Variant.Unavailable("C", $"{program} is not there: built without a C compiler", Role.Plain)
        );
        double bytes = double.NaN;
        scenario.Variants.Add(
            new Variant("C#", _ => SpectralMiddleArgs.Kernel.Launch(machine.Device, args, 1, 32))
            {
                Check = () =>
                {
                    SpectralMiddleArgs.Kernel.Launch(machine.Device, args, 1, 32);
                    return null;
                },
                Measure = samples =>
                {
                    double[] times = new double[samples];
                    for (
                        long start = Stopwatch.GetTimestamp();
                        Stopwatch.GetElapsedTime(start) < WarmUp;
                        machine.Device.Synchronize()
                    )
                    {
                        Launch(machine.Device, args);
                    }

                    long before = GC.GetAllocatedBytesForCurrentThread();
                    for (int i = 0; i < samples; i++)
                    {
                        long start = Stopwatch.GetTimestamp();
                        Launch(machine.Device, args);
                        times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds / LaunchesPerSample;
                        machine.Device.Synchronize();
                    }
                    bytes = (GC.GetAllocatedBytesForCurrentThread() - before) / (double)(samples * LaunchesPerSample);
                    return new Samples(times, LaunchesPerSample, "host");
                },
                Figures = _ => new Dictionary<string, double> { ["managed_bytes_per_launch"] = bytes },
            }
        );
        return scenario;
    }

    private static void Launch(Device device, in SpectralMiddleArgs args)
    {
        for (int i = 0; i < LaunchesPerSample; i++)
            SpectralMiddleArgs.Kernel.Launch(device, args, 1, 32);
    }

    /// <summary>The C program prints one time per line, in microseconds per launch.</summary>
    private static Samples InC(Machine machine, string program, int samples)
    {
        string? image = null;
        string[] arguments = machine.IsGpu
            ? [OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", image = WritePtx(machine)]
            :
            [
                Path.Combine(AppContext.BaseDirectory, "libspectral_cpu.so"),
                Path.Combine(AppContext.BaseDirectory, "libspectral_kernels.so"),
            ];
        try
        {
            var start = new ProcessStartInfo(
                program,
                [
                    .. arguments,
                    SpectralMiddleArgs.Kernel.Names[0],
                    machine.Device.Ordinal.ToString(CultureInfo.InvariantCulture),
                    LaunchesPerSample.ToString(CultureInfo.InvariantCulture),
                    samples.ToString(CultureInfo.InvariantCulture),
                ]
            )
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
                throw new InvalidOperationException($"{Program} ended with {process.ExitCode}: {errors.Result.Trim()}");
            double[] times =
            [
                .. output
                    .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                    .Select(line => double.Parse(line, CultureInfo.InvariantCulture)),
            ];
            return new Samples(times, LaunchesPerSample, "host");
        }
        finally
        {
            if (image is not null)
                File.Delete(image);
        }
    }

    private static string WritePtx(Machine machine)
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(
            file,
            KernelLibrary.Ptx(
                KernelLibrary.ArchitectureFor(machine.Device.ComputeCapability),
                SpectralMiddleArgs.Kernel.Module
            )
        );
        return file;
    }
}
