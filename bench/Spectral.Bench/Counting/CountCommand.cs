using System.CommandLine;
using System.Globalization;
using Spectral.Kernels;

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
        Required = true,
    };
    private static readonly Option<string> Entry = new("--entry")
    {
        Description = "Its entry point.",
        HelpName = "NAME",
        Required = true,
    };
    private static readonly Option<string> GridSize = new("--grid")
    {
        Description = "Blocks in each dimension.",
        HelpName = "X,Y,Z",
        Required = true,
    };
    private static readonly Option<string> BlockSize = new("--block")
    {
        Description = "Threads of a block in each dimension.",
        HelpName = "X,Y,Z",
        Required = true,
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
    private static readonly Option<bool> Json = new("--json") { Description = "Print one JSON object." };
    private static readonly Option<string[]> Dumps = new("--dump")
    {
        Description = "Write the buffer of argument N, counted from 0, to a file after the launch.",
        HelpName = "N=FILE",
    };

    public static Command Create()
    {
        var command = new Command(
            "count",
            "Counts what a kernel of a PTX file does: memory traffic, bank conflicts, barriers, instructions. It runs on "
                + "the CPU device and needs no GPU."
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
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult parsed)
    {
        ArgumentSpec[] specs = [.. (parsed.GetValue(Arguments) ?? []).Select(ArgumentSpec.Parse)];
        Grid grid = Sizes.Parse("--grid", parsed.GetValue(GridSize)!);
        Block block = Sizes.Parse("--block", parsed.GetValue(BlockSize)!);
        int shared = parsed.GetValue(Shared);
        if (shared < 0)
            throw new UsageException($"--shared {shared}: expected a number from 0");
        (int Argument, string Path)[] dumps =
        [
            .. (parsed.GetValue(Dumps) ?? []).Select(text => ParseDump(text, specs)),
        ];
        string path = parsed.GetValue(Ptx)!.FullName;
        if (!File.Exists(path))
            throw new UsageException($"--ptx \"{path}\": no such file");
        using var kernel = new OwnKernel(path, parsed.GetValue(Entry)!, specs);
        CountedLaunch launch = kernel.Launch(grid, block, shared);
        foreach ((int argument, string file) in dumps)
            Dump(kernel, argument, file);
        Console.Out.Write(parsed.GetValue(Json) ? CounterText.Json(launch) : CounterText.Lines(launch));
        return 0;
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
