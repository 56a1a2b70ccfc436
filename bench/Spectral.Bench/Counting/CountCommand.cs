using System.CommandLine;
using System.Globalization;
using System.Text;
using Spectral.Kernels;
using Spectral.Training.IO;

namespace Spectral.Bench.Counting;

/// <summary>
/// <c>spectral-bench count</c>: what a profiler would say of a kernel, counted on the CPU device as it runs the PTX.
/// </summary>
internal static class CountCommand
{
    private static readonly Option<FileInfo?> Ptx = new("--ptx")
    {
        Description = "PTX file of one's own.",
        HelpName = "FILE",
    };
    private static readonly Option<string> Entry = new("--entry")
    {
        Description = "Its entry point.",
        HelpName = "NAME",
    };
    private static readonly Option<string> GridSize = new("--grid")
    {
        Description = "Blocks in each dimension.",
        HelpName = "X,Y,Z",
    };
    private static readonly Option<string> BlockSize = new("--block")
    {
        Description = "Threads of a block in each dimension.",
        HelpName = "X,Y,Z",
    };
    private static readonly Option<int> Shared = new("--shared")
    {
        Description = "Bytes of dynamic shared memory.",
        HelpName = "BYTES",
    };
    private static readonly Option<string[]> Arguments = new("--arg")
    {
        Description =
            $"The kernel's arguments in order: {ArgumentSpec.Forms}, TYPE one of "
            + $"{string.Join(", ", ElementType.All.Keys)}.",
        HelpName = "SPEC",
        AllowMultipleArgumentsPerToken = true,
    };
    private static readonly Option<FileInfo?> Json = new("--json")
    {
        Description = "Print JSON, or write it to a file.",
        HelpName = "FILE",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private static readonly Option<string[]> Dumps = new("--dump")
    {
        Description = "Write the buffer of argument N, counted from 0, to a file after the launch.",
        HelpName = "N=FILE",
    };
    private static readonly Option<string> Filter = new("--filter")
    {
        Description = "Of our kernels, only cases whose 'case shape' contains one of these texts.",
        DefaultValueFactory = _ => "",
    };
    private static readonly Option<string?> Target = new("--target")
    {
        Description = "Target whose PTX is counted of our kernels.",
        HelpName = "sm_80|sm_90a",
    };
    private static readonly Option<string> Profile = new("--profile")
    {
        Description = "GPUs that the CPU device stands for, separated by commas. Own kernels run once.",
        HelpName = string.Join('|', DeviceRates.Known),
        DefaultValueFactory = _ => nameof(CpuProfile.H200),
    };

    private static readonly Option<bool> Targets = new("--targets")
    {
        Description = "Of our kernels, print the table of bounds and targets of docs/performance.md.",
    };

    public static Command Create()
    {
        var command = new Command(
            "count",
            "Counts what our kernels do, or one of a PTX file: memory traffic, bank conflicts, barriers, instructions. "
                + "They run on the CPU device; no GPU is needed."
        )
        {
            Ptx,
            Entry,
            GridSize,
            BlockSize,
            Shared,
            Arguments,
            Json,
            Dumps,
            Filter,
            Target,
            Profile,
            Targets,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult parsed)
    {
        if (parsed.GetValue(Ptx) is { } ptx)
            CountOwn(parsed, ptx.FullName);
        else
            CountOurs(parsed);
        return 0;
    }

    private static void CountOwn(ParseResult parsed, string path)
    {
        string entry = Needed(parsed, Entry);
        Grid grid = Sizes.Parse("--grid", Needed(parsed, GridSize));
        Block block = Sizes.Parse("--block", Needed(parsed, BlockSize));
        ArgumentSpec[] specs = [.. (parsed.GetValue(Arguments) ?? []).Select(ArgumentSpec.Parse)];
        int shared = parsed.GetValue(Shared);
        if (shared < 0)
            throw new UsageException($"--shared {shared}: expected a number from 0");
        (int Argument, string Path)[] dumps =
        [
            .. (parsed.GetValue(Dumps) ?? []).Select(text => ParseDump(text, specs)),
        ];
        if (!File.Exists(path))
            throw new UsageException($"--ptx \"{path}\": no such file");
        DeviceRates[] rates = [.. DeviceRates.ParseProfiles(parsed.GetValue(Profile)!).Select(Read)];
        using var kernel = new OwnKernel(path, entry, specs);
        CountedLaunch launch = kernel.Launch(grid, block, shared, rates[0].Multiprocessors);
        foreach ((int argument, string file) in dumps)
            Dump(kernel, argument, file);
        if (parsed.GetResult(Json) is null)
            Console.Out.Write(CounterText.Lines(launch, rates));
        else
            Write(parsed, CounterText.Json(launch, kernel.ArgumentAt));
    }

    private static DeviceRates Read(CpuProfile profile)
    {
        using var device = Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Source, Profile = profile });
        return new DeviceRates(device);
    }

    private static string Needed(ParseResult parsed, Option<string> option) =>
        parsed.GetValue(option) ?? throw new UsageException($"--ptx needs {option.Name} {option.HelpName}");

    private static void CountOurs(ParseResult parsed)
    {
        foreach (Option option in new Option[] { Entry, GridSize, BlockSize, Shared, Arguments, Dumps })
        {
            if (parsed.GetResult(option) is { Implicit: false })
                throw new UsageException($"{option.Name} needs --ptx FILE");
        }
        IReadOnlyList<CpuProfile> profiles = DeviceRates.ParseProfiles(parsed.GetValue(Profile)!);
        if (parsed.GetValue(Targets))
        {
            foreach (string line in profiles.SelectMany(TargetTable.Lines))
                Console.WriteLine(line);
            return;
        }
        var counted = new List<(DeviceRates, string, List<CountedVariant>)>();
        foreach (CpuProfile profile in profiles)
        {
            using var machine = new Machine(OpenPtx(profile, parsed.GetValue(Target)), Extent.Counted);
            var rates = new DeviceRates(machine.Device);
            IEnumerable<CountedVariant> variants = ScenarioCounter.Count(machine, parsed.GetValue(Filter)!);
            if (parsed.GetResult(Json) is null)
                Print(machine, rates, variants);
            else
                counted.Add((rates, machine.Device.PtxTarget!, [.. variants]));
        }
        if (counted.Count > 0)
            Write(parsed, CounterText.Json(counted));
    }

    private static void Print(Machine machine, DeviceRates rates, IEnumerable<CountedVariant> variants)
    {
        Console.WriteLine($"PTX of {machine.Device.PtxTarget} on the CPU device as {rates.Profile}");
        var table = new CountTable(rates);
        Console.WriteLine(table.Header);
        foreach (string line in variants.SelectMany(table.Lines))
            Console.WriteLine(line);
    }

    private static Device OpenPtx(CpuProfile profile, string? target)
    {
        try
        {
            return Device.Cpu(
                new CpuDeviceOptions
                {
                    Kernels = CpuKernels.Ptx,
                    PtxTarget = target,
                    Profile = profile,
                }
            );
        }
        catch (Exception error) when (error is InvalidOperationException or ArgumentException)
        {
            throw new UsageException($"--target {target}: {error.Message}");
        }
    }

    private static void Write(ParseResult parsed, string json)
    {
        if (parsed.GetValue(Json) is { } file)
            AtomicFile.Write(file.FullName, stream => stream.Write(Encoding.UTF8.GetBytes(json)));
        else
            Console.Out.Write(json);
    }

    private static void Dump(OwnKernel kernel, int argument, string file)
    {
        try
        {
            kernel.Dump(argument, file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"--dump {argument}={file}: cannot be written: {error.Message}");
        }
    }

    // A place that cannot be written is found before the kernel runs, which may take long.
    private static (int Argument, string Path) ParseDump(string text, ArgumentSpec[] specs)
    {
        int equals = text.IndexOf('=');
        string file = text[(equals + 1)..];
        if (
            equals < 1
            || file.Length == 0
            || !int.TryParse(text[..equals], NumberStyles.None, CultureInfo.InvariantCulture, out int argument)
        )
        {
            throw new UsageException($"--dump \"{text}\": expected N=FILE, N counted from 0");
        }
        if (argument >= specs.Length || !specs[argument].IsBuffer)
        {
            throw new UsageException(
                $"--dump \"{text}\": "
                    + (
                        argument < specs.Length
                            ? $"argument {argument} is no buffer"
                            : $"there is no argument {argument}"
                    )
            );
        }
        string full = Path.GetFullPath(file);
        if (Directory.Exists(full))
            throw new UsageException($"--dump \"{text}\": {full} is a folder");
        if (!Directory.Exists(Path.GetDirectoryName(full)))
            throw new UsageException($"--dump \"{text}\": there is no folder {Path.GetDirectoryName(full)}");
        return (argument, full);
    }
}
