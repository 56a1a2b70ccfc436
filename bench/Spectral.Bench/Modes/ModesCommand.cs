using System.CommandLine;
using System.Globalization;
using System.Text;
using Spectral.Training.IO;

namespace Spectral.Bench.Modes;

/// <summary>
/// <c>spectral-bench modes</c>: what running PTX costs on the CPU device, beside the kernels compiled from source.
/// </summary>
internal static class ModesCommand
{
    private static readonly Option<string> Filter = new("--filter")
    {
        Description = "Only cases whose 'case shape' contains one of these texts, separated by commas.",
        DefaultValueFactory = _ => "",
    };
    private static readonly Option<string?> Target = new("--target")
    {
        Description = "Target whose PTX runs.",
        HelpName = "sm_80|sm_90a",
    };
    private static readonly Option<int> Rounds = new("--rounds")
    {
        Description = "Samples of each mode.",
        DefaultValueFactory = _ => 7,
    };
    private static readonly Option<FileInfo?> Json = new("--json")
    {
        Description = "Also write the results to this file.",
        HelpName = "FILE",
    };

    public static Command Create()
    {
        var command = new Command(
            "modes",
            "Times our kernels on the CPU device from source, as PTX, and as PTX with counters, in turns. Times are "
                + "processor time of one thread, the least and the median of the samples; ratios are of the least."
        )
        {
            Filter,
            Target,
            Rounds,
            Json,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult parsed)
    {
        int rounds = parsed.GetValue(Rounds);
        if (rounds < 1)
            throw new UsageException($"--rounds {rounds}: expected a number from 1");
        using ModeRun run = Open(parsed.GetValue(Target), rounds);
        IEnumerable<ModeComparison> comparisons = run.Compare(parsed.GetValue(Filter)!);
        (int Modules, double Milliseconds) load = run.LoadAll();
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"CPU device, processor time of one thread; {load.Modules} modules of {run.PtxTarget} load in "
                    + $"{load.Milliseconds:F0} ms"
            )
        );
        Console.WriteLine(ModeReport.Header);
        var all = new List<ModeComparison>();
        foreach (ModeComparison times in comparisons)
        {
            Console.WriteLine(ModeReport.Line(times));
            all.Add(times);
        }
        if (all.Count > 0)
            Console.WriteLine(ModeReport.Summary(all));
        if (parsed.GetValue(Json) is { } file)
        {
            byte[] json = Encoding.UTF8.GetBytes(ModeReport.Json(run.PtxTarget, load, all));
            AtomicFile.Write(file.FullName, stream => stream.Write(json));
        }
        return 0;
    }

    private static ModeRun Open(string? target, int rounds)
    {
        try
        {
            return new ModeRun(target, rounds);
        }
        catch (ArgumentException error)
        {
            throw new UsageException($"--target {target}: {error.Message}");
        }
    }
}
