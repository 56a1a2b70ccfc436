using System.CommandLine;
using System.Globalization;
using Spectral.Bench.Counting;
using Spectral.Bench.Modes;
using Spectral.Bench.Reports;
using Spectral.Kernels;
using Spectral.Kernels.Driver;

namespace Spectral.Bench;

/// <summary>
/// The command line. Exit codes: 0 done, 1 a variant failed its check or the run broke off, 2 bad usage.
/// </summary>
internal static class Program
{
    private const int Done = 0;
    private const int Failed = 1;
    private const int BadUsage = 2;

    private static readonly Option<string> Filter = new("--filter")
    {
        Description = "Only cases whose 'case shape' contains one of these texts, separated by commas.",
        DefaultValueFactory = _ => "",
    };
    private static readonly Option<bool> List = new("--list")
    {
        Description = "Show cases and shapes and run nothing.",
    };
    private static readonly Option<FileInfo?> Json = new("--json")
    {
        Description = "Also write the results to this file; rewritten after every shape.",
        HelpName = "FILE",
    };
    private static readonly Option<bool> Quick = new("--quick")
    {
        Description = "A few shapes of each case, fewer samples.",
    };
    private static readonly Option<bool> Smoke = new("--smoke")
    {
        Description =
            "Tiny shapes: shows that everything runs, the times mean nothing. The only run there is on the CPU device.",
    };
    private static readonly Option<string> Where = new("--device")
    {
        Description = "Where to run.",
        HelpName = "auto|cpu|cuda[:N]",
        DefaultValueFactory = _ => "auto",
    };
    private static readonly Option<double> Minutes = new("--minutes")
    {
        Description = "Begin no further shape after so many minutes; 0: no limit.",
        DefaultValueFactory = _ => 0,
    };

    private static int Main(string[] arguments)
    {
        var root = new RootCommand(
            "Times kernels, layers, decompositions and training steps against plain products and library "
                + "sequences, on device events, after checking each result."
        )
        {
            Filter,
            List,
            Json,
            Quick,
            Smoke,
            Where,
            Minutes,
            CountCommand.Create(),
            ModesCommand.Create(),
        };
        root.SetAction(parsed => Run(parsed));
        ParseResult parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            Console.Error.WriteLine($"spectral-bench: {parsed.Errors[0].Message}\nTry 'spectral-bench --help'.");
            return BadUsage;
        }
        try
        {
            return parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (UsageException error)
        {
            Console.Error.WriteLine($"spectral-bench: {error.Message}");
            return BadUsage;
        }
        catch (Exception error)
            when (error
                    is CudaException
                        or DllNotFoundException
                        or EntryPointNotFoundException
                        or InvalidOperationException
                        or IOException
                        or PlatformNotSupportedException
            )
        {
            Console.Error.WriteLine($"spectral-bench: {error.Message}");
            return Failed;
        }
    }

    private static int Run(ParseResult parsed)
    {
        Extent extent = parsed.GetValue(Quick) ? Extent.Quick : Extent.Full;
        if (parsed.GetValue(Smoke))
            extent = Extent.Smoke;
        Device device = Open(parsed.GetValue(Where)!);
        // Full sizes would take the CPU device days, to no end.
        bool listing = parsed.GetValue(List);
        using var machine = new Machine(device, device.Kind == DeviceKind.Cpu && !listing ? Extent.Smoke : extent);
        (BenchCase Case, Plan Plan)[] chosen = BenchCase.Choose(machine, parsed.GetValue(Filter)!);
        if (listing)
        {
            foreach (IGrouping<BenchCase, (BenchCase Case, Plan Plan)> group in chosen.GroupBy(entry => entry.Case))
            {
                Console.WriteLine($"{group.Key.Name, -18} target {group.Key.Target}: {group.Key.Description}");
                foreach ((BenchCase _, Plan plan) in group)
                    Console.WriteLine($"    {plan.Shape}");
            }
            return Done;
        }
        return Run(machine, chosen, parsed.GetValue(Json)?.FullName, parsed.GetValue(Minutes));
    }

    private static int Run(
        Machine machine,
        IReadOnlyList<(BenchCase Case, Plan Plan)> chosen,
        string? path,
        double minutes
    )
    {
        var started = System.Diagnostics.Stopwatch.StartNew();
        var report = new Report(machine, path);
        Console.WriteLine(
            $"{machine.Device}, driver CUDA "
                + $"{machine.Device.DriverVersion.Major}.{machine.Device.DriverVersion.Minor}, BLAS "
                + $"{machine.Device.Blas.Version}, {machine.Extent.ToString().ToLowerInvariant()} run, random "
                + "normal inputs, medians"
        );
        if (!machine.IsGpu)
            Console.WriteLine($"*** {MachineFacts.CpuWarning} ***");
        (Ceilings ceilings, IReadOnlyList<Result> first) = CeilingRun.Measure(machine);
        Console.WriteLine(Table.Header);
        Show(report, first);
        var runner = new Runner(machine, ceilings);
        int left = 0;
        foreach ((BenchCase benchCase, Plan plan) in chosen)
        {
            if (minutes > 0 && started.Elapsed.TotalMinutes > minutes)
                left++;
            else
                Show(report, runner.Run(benchCase.Name, benchCase.Target, plan));
        }
        if (left > 0)
        {
            Console.WriteLine(
                $"{left} shapes left out: --minutes {minutes.ToString(CultureInfo.InvariantCulture)} were over"
            );
        }

        if (!machine.IsGpu)
            Console.WriteLine($"*** {MachineFacts.CpuWarning} ***");
        report.Write(complete: left == 0);
        return report.HasFailed ? Failed : Done;
    }

    private static void Show(Report report, IReadOnlyList<Result> results)
    {
        foreach (Result result in results)
            Console.WriteLine(Table.Line(result));
        report.Add(results);
    }

    private static Device Open(string wanted)
    {
        if (wanted == "auto")
            return Device.Best();
        if (wanted == "cpu")
            return Device.Cpu();
        if (wanted == "cpu-ptx")
            return OpenCpuPtx(wanted);
        string number = wanted switch
        {
            "cuda" => "0",
            _ when wanted.StartsWith("cuda:", StringComparison.Ordinal) => wanted[5..],
            _ => "",
        };
        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int ordinal))
            throw new UsageException($"--device \"{wanted}\": expected auto, cpu, cpu-ptx, cuda or cuda:N");
        int count = Device.CudaCount(out string? reason);
        return ordinal < count
            ? Device.Cuda(ordinal)
            : throw new UsageException(
                $"--device \"{wanted}\": {reason ?? $"there are {count} CUDA devices, numbered from 0"}"
            );
    }

    private static Device OpenCpuPtx(string wanted)
    {
        try
        {
            return Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Ptx });
        }
        catch (Exception error) when (error is InvalidOperationException or PlatformNotSupportedException)
        {
            throw new UsageException($"--device \"{wanted}\": {error.Message}");
        }
    }
}
