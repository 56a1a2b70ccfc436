using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Spectral.Tests.Support;

namespace Spectral.Cli.Tests.Support;

/// <summary>The outcome of a `spectral` process: exit code and both streams.</summary>
public sealed record Outcome(int ExitCode, string Output, string Error)
{
    /// <summary>The JSON object on stdout; with anything before or after it, parsing fails.</summary>
    public JsonElement Json
    {
        get
        {
            using var document = JsonDocument.Parse(Output);
            Assert.That(document.RootElement.ValueKind, Is.EqualTo(JsonValueKind.Object), Output);
            return document.RootElement.Clone();
        }
    }

    public Outcome Succeeded()
    {
        Assert.That(ExitCode, Is.Zero, $"stdout: {Output}\nstderr: {Error}");
        return this;
    }

    /// <summary>
    /// Asserts that a signal ended the process, with the exit code of a shell and one line; that of training says how
    /// to resume if a checkpoint was written.
    /// </summary>
    public void Stopped(int exitCode, bool canResume = false)
    {
        Assert.That(ExitCode, Is.EqualTo(exitCode), Error);
        Assert.That(
            Error,
            Does.Match(canResume ? @": stopped; the checkpoint of step \d+ .* with --resume .*\n$" : ": stopped\n$")
                .And.Not.Contain("   at ")
        );
    }

    /// <summary>
    /// Asserts that bad input was refused: the exit code, nothing on stdout, one or two lines that name what is wrong.
    /// </summary>
    public Outcome Refused(int exitCode, params string[] named)
    {
        Assert.That(ExitCode, Is.EqualTo(exitCode), $"stdout: {Output}\nstderr: {Error}");
        string[] lines = Error
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(line => !line.StartsWith("warning: ", StringComparison.Ordinal))
            .ToArray();
        Assert.That(lines, Has.Length.InRange(1, 2), Error);
        Assert.That(Error, Does.Not.Contain("   at ").And.Not.Contain("Exception"), "a stack trace is no message");
        foreach (string name in named)
            Assert.That(Error, Does.Contain(name));
        return this;
    }

    /// <summary>
    /// Asserts that ranks refused bad input: the exit code, and one line that names what is wrong beside the launcher's
    /// own.
    /// </summary>
    public void RefusedByRanks(int exitCode, params string[] named)
    {
        Assert.That(ExitCode, Is.EqualTo(exitCode), $"stdout: {Output}\nstderr: {Error}");
        string[] lines = [.. Error.Split('\n').Where(line => line.StartsWith("spectral ", StringComparison.Ordinal))];
        Assert.That(lines, Has.Length.EqualTo(1), Error);
        Assert.That(Error, Does.Not.Contain("   at "), "a stack trace is no message");
        foreach (string name in named)
            Assert.That(lines[0], Does.Contain(name));
    }
}

/// <summary>Runs the built command as a process, as a shell would.</summary>
public static class CommandLine
{
    private static readonly string Program = Path.Combine(
        AppContext.BaseDirectory,
        OperatingSystem.IsWindows() ? "spectral.exe" : "spectral"
    );
    private static readonly string BenchProgram = Path.Combine(
        AppContext.BaseDirectory,
        OperatingSystem.IsWindows() ? "spectral-bench.exe" : "spectral-bench"
    );
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    public static Outcome Run(params string[] arguments)
    {
        using Process process = Start(arguments);
        return Finish(process);
    }

    /// <summary>Runs the command with an environment variable.</summary>
    public static Outcome RunWith(string variable, string value, params string[] arguments)
    {
        using Process process = Start(Program, arguments, (variable, value));
        return Finish(process);
    }

    public static Process StartWith(string variable, string value, params string[] arguments) =>
        Start(Program, arguments, (variable, value));

    /// <summary>Runs the command as ranks that MPI starts.</summary>
    public static Outcome RunRanks(int ranks, params string[] arguments)
    {
        using Process process = StartRanks(ranks, arguments);
        return Finish(process);
    }

    /// <summary>Starts the command as ranks that MPI starts.</summary>
    public static Process StartRanks(int ranks, params string[] arguments) =>
        Start(Program, arguments, wrapper: MpiLauncher.Start(ranks));

    /// <summary>
    /// Runs the command as ranks that MPI starts, on CPU devices whose streams run what waits in them late and in an
    /// order that is drawn among those which events allow.
    /// </summary>
    public static Outcome RunRanksOutOfStep(int ranks, params string[] arguments)
    {
        string[] late = ["env", "SPECTRAL_CPU_ASYNC=1", "SPECTRAL_CPU_SEED=7"];
        using Process process = Start(Program, arguments, wrapper: [.. late, .. MpiLauncher.Start(ranks)]);
        return Finish(process);
    }

    /// <summary>
    /// Runs the command as a rank on each of two hosts (<see cref="TwoHosts"/>). Returns null if the system does not
    /// allow to make them.
    /// </summary>
    public static Outcome? RunOnTwoHosts(string folder, params string[] arguments)
    {
        if (!OperatingSystem.IsLinux())
            return null;
        using (Process probe = Start("true", [], wrapper: TwoHosts.Within(folder)))
        {
            if (Finish(probe).ExitCode != 0)
                return null;
        }

        using Process process = Start(Program, arguments, wrapper: TwoHosts.Start(folder));
        return Finish(process);
    }

    /// <summary>
    /// Runs the command as ranks that nobody launches: processes with the variables that torchrun sets.
    /// </summary>
    public static Outcome[] RunByHand(int ranks, int port, params string[] arguments)
    {
        Process[] processes =
        [
            .. Enumerable
                .Range(0, ranks)
                .Select(rank =>
                    Start(
                        Program,
                        arguments,
                        ("RANK", $"{rank}"),
                        [
                            "env",
                            $"WORLD_SIZE={ranks}",
                            $"LOCAL_RANK={rank}",
                            "MASTER_ADDR=127.0.0.1",
                            $"MASTER_PORT={port}",
                        ]
                    )
                ),
        ];
        Outcome[] outcomes = [.. processes.Select(Finish)];
        foreach (Process process in processes)
            process.Dispose();
        return outcomes;
    }

    /// <summary>Runs the command as two ranks with command lines of their own.</summary>
    public static Outcome RunUnlikeRanks(string[] first, string[] second)
    {
        using Process process = Start(
            Program,
            [.. first, ":", "-n", "1", Program, .. second],
            wrapper: MpiLauncher.Start(1)
        );
        return Finish(process);
    }

    /// <summary>Runs the event-timed benchmark the same way.</summary>
    public static Outcome RunBench(params string[] arguments)
    {
        using Process process = Start(BenchProgram, arguments);
        return Finish(process);
    }

    /// <summary>
    /// Runs a script in a mount namespace of its own, so that its mounts are gone when it ends; the command is
    /// <c>$spectral</c> in it. Returns null if the system does not allow that.
    /// </summary>
    public static Outcome? RunWithMounts(string script, params string[] arguments)
    {
        string[][] ways =
        [
            ["unshare", "--mount"],
            ["unshare", "--user", "--map-root-user", "--mount"],
        ];
        foreach (string[] way in ways)
        {
            using (Process probe = Start("bash", ["-c", "mount -t tmpfs tmpfs /mnt"], wrapper: way))
            {
                if (Finish(probe).ExitCode != 0)
                    continue;
            }

            using Process process = Start("bash", ["-c", script, "bash", .. arguments], ("spectral", Program), way);
            return Finish(process);
        }
        return null;
    }

    /// <summary>Runs the command as a user without privileges, as permissions do not bind root.</summary>
    public static Outcome RunUnprivileged(params string[] arguments)
    {
        string[] asNobody = Environment.IsPrivilegedProcess
            ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            : [];
        using Process process = Start(Program, arguments, ("HOME", "/"), asNobody);
        return Finish(process);
    }

    public static Process Start(params string[] arguments) => Start(Program, arguments);

    private static Process Start(
        string path,
        string[] arguments,
        (string Name, string Value)? variable = null,
        string[]? wrapper = null
    )
    {
        // A test run that was started in the background ignores SIGINT, and the command would inherit that. It has to
        // behave as on a terminal.
        string[] program = OperatingSystem.IsLinux() ? ["env", "--default-signal=INT", .. wrapper ?? [], path] : [path];
        var start = new ProcessStartInfo(program[0], program[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        // A locale with decimal commas must not change how numbers are read or written.
        start.Environment["LC_ALL"] = "de_DE.UTF-8";
        // No command needs more memory for a tiny model; believing a false header would exceed it.
        start.Environment["DOTNET_GCHeapHardLimit"] = "0x10000000";
        if (variable is { } set)
            start.Environment[set.Name] = set.Value;
        return Process.Start(start)!;
    }

    public static Outcome Finish(Process process)
    {
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Patience))
        {
            process.Kill();
            Assert.Fail($"did not end within {Patience}");
        }
        return new Outcome(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Sends a signal as `kill` does; .NET has only SIGKILL.</summary>
    public static void Signal(Process process, int signal) => Assert.That(kill(process.Id, signal), Is.Zero);

    [DllImport("libc", SetLastError = true)]
    private static extern int kill(int process, int signal);
}
