using System.Diagnostics;
using System.Runtime.Versioning;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Output;

/// <summary>
/// Tests what --out may name, and that one process at a time writes there. Both are checked before any work.
/// </summary>
public sealed class OutputTests : WorkFolder
{
    private const string Lock = ".spectral.lock";
    private const int Terminate = 15;

    // A run that is not refused would train until the test times out.
    private string[] FinetuneForever(params string[] more) =>
        Finetune(["--steps", "1000000", "--save-every", "1000000", .. more]);

    private string[] Svd(string output, params string[] more) =>
        [
            "svd",
            "--model",
            Model,
            "--tensor",
            "model.embed_tokens.weight",
            "--rank",
            "2",
            "--out",
            output,
            "--device",
            "cpu",
            .. more,
        ];

    [Test]
    public void TheSecondOfTwoProcessesIsRefused()
    {
        using Process first = CommandLine.Start(FinetuneForever());
        string log = Path.Combine(Out, "train_log.jsonl");
        for (var waited = Stopwatch.StartNew(); !File.Exists(log) || new FileInfo(log).Length == 0; Thread.Sleep(20))
        {
            Assert.That(
                !first.HasExited && waited.Elapsed < TimeSpan.FromMinutes(2),
                "the run ended or hung before its first step"
            );
        }

        string writer = OperatingSystem.IsLinux() ? $"process {first.Id}" : "another process";
        Refused(FinetuneForever(), "--out", Out, writer, "is writing to it");
        Refused(FinetuneForever("--overwrite"), "--out", Out, writer, "is writing to it");
        long steps = new FileInfo(log).Length;
        for (var waited = Stopwatch.StartNew(); new FileInfo(log).Length == steps; Thread.Sleep(20))
            Assert.That(!first.HasExited && waited.Elapsed < TimeSpan.FromMinutes(2), "the first run was disturbed");
        CommandLine.Signal(first, Terminate);
        CommandLine.Finish(first).Stopped(143, canResume: true);
        CommandLine.Run(Finetune("--overwrite")).Succeeded();
        Assert.That(File.Exists(Path.Combine(Out, Lock)), Is.False);
    }

    [TestCase("finetune")]
    [TestCase("pretrain")]
    [TestCase("compare")]
    [TestCase("merge")]
    [TestCase("export")]
    [TestCase("compress")]
    [TestCase("svd")]
    public void EveryWriterLooksForAnother(string command)
    {
        string adapter = At("adapter");
        if (command is "merge" or "export" or "compress")
            CommandLine.Run(Finetune("--out", adapter, "--adapter", "lora")).Succeeded();
        string held = command == "svd" ? At(".out.lock") : Path.Combine(Out, Lock);
        Directory.CreateDirectory(Path.GetDirectoryName(held)!);
        using (new FileStream(held, FileMode.Create, FileAccess.Write, FileShare.None))
        {
            string writer = OperatingSystem.IsLinux() ? $"process {Environment.ProcessId}" : "another process";
            string[] training =
            [
                "--model",
                Model,
                "--data",
                Data,
                "--out",
                Out,
                "--steps",
                "1000000",
                "--device",
                "cpu",
            ];
            Refused(
                command switch
                {
                    "compare" => [command, .. training, "--eval", Data, "--methods", "lora"],
                    "merge" => [command, "--model", Model, "--adapter", adapter, "--out", Out, "--device", "cpu"],
                    "export" => [command, "--adapter", adapter, "--out", Out, "--device", "cpu"],
                    "compress" =>
                    [
                        command,
                        "--method",
                        "lora-squeeze",
                        "--input",
                        adapter,
                        "--out",
                        Out,
                        "--device",
                        "cpu",
                    ],
                    "svd" => Svd(Out),
                    _ => [command, .. training],
                },
                "--out",
                Out,
                writer,
                "is writing to it"
            );
        }
        Assert.That(File.Exists(held), "the lock of another is not ours to remove");
    }

    [Test]
    public void AKilledProcessLeavesNoLock()
    {
        using Process first = CommandLine.Start(FinetuneForever());
        string held = Path.Combine(Out, Lock);
        for (var waited = Stopwatch.StartNew(); !File.Exists(held); Thread.Sleep(2))
        {
            Assert.That(
                !first.HasExited && waited.Elapsed < TimeSpan.FromMinutes(2),
                "the run ended or hung before it came that far"
            );
        }

        first.Kill();
        CommandLine.Finish(first);
        Assert.That(File.Exists(held), "killed, it could remove nothing");
        CommandLine.Run(Finetune("--resume")).Succeeded();
        Assert.That(File.Exists(held), Is.False);
    }

    [Test]
    public void AnEmptyFolderIsFilledAndStaysTheFolderItWas()
    {
        CommandLine.Run(Finetune("--adapter", "lora")).Succeeded();
        string merged = At("merged");
        string link = At("link");
        Directory.CreateDirectory(merged);
        File.WriteAllText(Path.Combine(merged, Lock), "left by a killed process");
        File.CreateSymbolicLink(link, merged);
        CommandLine.Run("merge", "--model", Model, "--adapter", Out, "--out", link, "--device", "cpu").Succeeded();
        Assert.That(new FileInfo(link).LinkTarget, Is.EqualTo(merged), "the link was followed, not replaced");
        Assert.That(
            Directory.GetFileSystemEntries(merged).Select(Path.GetFileName),
            Is.EquivalentTo(new[] { "config.json", "model.safetensors", "tokenizer.json" })
        );
        string deep = At("new/deep/merged");
        CommandLine.Run("merge", "--model", Model, "--adapter", Out, "--out", deep, "--device", "cpu").Succeeded();
        Assert.That(Directory.GetFileSystemEntries(Path.GetDirectoryName(deep)!), Is.EqualTo(new[] { deep }));
    }

    [Test, Platform(Include = "Linux", Reason = "names and links as Linux has them")]
    public void PathsThatLeadNowhereAreRefused()
    {
        File.CreateSymbolicLink(At("dangling"), At("nowhere"));
        File.CreateSymbolicLink(At("one"), At("two"));
        File.CreateSymbolicLink(At("two"), At("one"));
        string tooLong = At(new string('n', 300));
        foreach (
            (string path, string reason) in ((string, string)[])
                [
                    (At("dangling"), "leads nowhere"),
                    (At("one"), "leads nowhere"),
                    (At("dangling/below"), "leads nowhere"),
                    (At("one/below"), "leads nowhere"),
                    (tooLong, "cannot be written to"),
                    ("/proc/spectral", "cannot be written to"),
                    ("/dev/full", "among the devices"),
                    ("/dev/full/below", "among the devices"),
                    (Path.Combine(Data, "deep/below"), "is a file"),
                ]
        )
        {
            Refused(FinetuneForever("--out", path), "--out", path, reason);
            Refused(Svd(path), "--out", path, reason);
        }
    }

    [Test]
    public void AFolderWhereAFileHasToGoIsRefused()
    {
        Directory.CreateDirectory(Path.Combine(Out, "adapter_model.safetensors"));
        Refused(FinetuneForever("--overwrite"), "--out", "adapter_model.safetensors", "is a folder");
    }

    [Test, Platform(Include = "Linux", Reason = "permissions as Linux has them"), UnsupportedOSPlatform("windows")]
    public void MissingPermissionsShowBeforeTheWork()
    {
        if (Environment.IsPrivilegedProcess && !File.Exists("/usr/bin/setpriv"))
            Assert.Ignore("root without setpriv: permissions do not hold");
        const UnixFileMode Read =
            UnixFileMode.UserRead
            | UnixFileMode.UserExecute
            | UnixFileMode.GroupRead
            | UnixFileMode.GroupExecute
            | UnixFileMode.OtherRead
            | UnixFileMode.OtherExecute;
        string empty = At("empty");
        string full = At("full");
        Directory.CreateDirectory(empty);
        Directory.CreateDirectory(full);
        File.WriteAllText(Path.Combine(full, "report.html"), "");
        foreach (string folder in (string[])[empty, full, Folder])
            File.SetUnixFileMode(folder, Read);
        try
        {
            RefusedTo(FinetuneForever(), "--out", Out, "cannot be written to", "denied");
            RefusedTo(FinetuneForever("--out", empty), "--out", empty, "cannot be written to", "denied");
            RefusedTo(FinetuneForever("--out", full, "--overwrite"), "--out", full, "cannot be written to", "denied");
            RefusedTo(Svd(At("svd.safetensors")), "--out", "cannot be written to", "denied");
            foreach (
                string input in (string[])
                    [
                        Path.Combine(Model, "config.json"),
                        Path.Combine(Model, "model.safetensors"),
                        Path.Combine(Model, "tokenizer.json"),
                        Data,
                    ]
            )
            {
                UnixFileMode mode = File.GetUnixFileMode(input);
                File.SetUnixFileMode(input, UnixFileMode.None);
                RefusedTo(FinetuneForever(), input, "denied");
                File.SetUnixFileMode(input, mode);
            }
        }
        finally
        {
            foreach (string folder in (string[])[empty, full, Folder])
                File.SetUnixFileMode(folder, Read | UnixFileMode.UserWrite);
        }
        Assert.That(Entries(), Is.EqualTo(new[] { "data.jsonl", "empty", "full", "model" }));
        Assert.That(Directory.GetFileSystemEntries(empty), Is.Empty);

        static void RefusedTo(string[] arguments, params string[] named) =>
            CommandLine.RunUnprivileged(arguments).Refused(2, named);
    }
}
