using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Output;

/// <summary>
/// Tests a disk that becomes full during a run: the last checkpoint stays, and the run resumes from it when there is
/// space again.
/// </summary>
[Platform(Include = "Linux", Reason = "a file system in memory, of any size")]
public sealed class FullDiskTests : WorkFolder
{
    /// <summary>
    /// $1: disk, $2: its size in bytes, $3 and $4: where to copy what was left on it, the rest: the command. The disk
    /// becomes full, and larger before the run resumes.
    /// </summary>
    private const string Script = """
        mount -t tmpfs -o size=$2 tmpfs "$1" || exit 99
        disk=$1 left=$3 resumed=$4; shift 4
        "$spectral" "$@" --out "$disk/out"; code=$?
        cp -r "$disk/out" "$left" 2> /dev/null
        mount -o remount,size=64m "$disk"
        "$spectral" "$@" --out "$disk/out" --resume > /dev/null && cp -r "$disk/out" "$resumed"
        exit $code
        """;

    /// <summary>
    /// The space after the first checkpoint, as a share of a checkpoint: it ends in the files of the second one, in the
    /// trainer's state, or in the first one already.
    /// </summary>
    [TestCase(0.1)]
    [TestCase(0.4)]
    [TestCase(0.7)]
    [TestCase(0.9)]
    [TestCase(-0.5)]
    public void TheLastCheckpointStays(double part)
    {
        string whole = At("whole");
        string left = At("left");
        string resumed = At("resumed");
        string disk = At("disk");
        string[] run =
        [
            "finetune",
            "--model",
            Model,
            "--data",
            Data,
            "--steps",
            "6",
            "--save-every",
            "2",
            "--batch",
            "2",
            "--device",
            "cpu",
            "--lr",
            "1e-2",
        ];
        CommandLine.Run([.. run, "--out", whole]).Succeeded();
        long checkpoint = Pages(Directory.GetFiles(whole, "*", SearchOption.AllDirectories));
        long log = Pages([Path.Combine(whole, "train_log.jsonl")]);
        Directory.CreateDirectory(disk);
        long size = checkpoint + (long)(part * (checkpoint - log)) + 4096; // a page for the lock
        if (CommandLine.RunWithMounts(Script, [disk, $"{size}", left, resumed, .. run]) is not { } outcome)
        {
            Assert.Ignore("no mount is permitted here");
            return;
        }
        outcome.Refused(1, disk);
        Assert.That(outcome.Error, Does.Match("No space left on device|the disk was full"));
        if (part > 0)
        {
            Assert.That(outcome.Error, Does.Contain("the checkpoint of step 2 is kept").And.Contain("--resume"));
            CommandLine.Run("eval", "--model", Model, "--adapter", left, "--data", Data, "--device", "cpu").Succeeded();
            Assert.That(File.Exists(RunFiles.StateFile(left)));
        }
        else
        {
            Assert.That(Directory.Exists(left), Is.False, "nothing was saved, and nothing stays");
        }
        RunFiles.AssertSame(resumed, whole);
    }

    /// <summary>Returns what the files take on a disk that allocates whole pages.</summary>
    private static long Pages(string[] files) => files.Sum(file => (new FileInfo(file).Length + 4095) / 4096 * 4096);
}
