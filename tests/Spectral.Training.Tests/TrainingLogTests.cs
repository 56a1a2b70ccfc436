using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests;

/// <summary>A log that goes on where a checkpoint was.</summary>
public sealed class TrainingLogTests : FolderTest
{
    private string Path => folder.File("train_log.jsonl");

    private static void Steps(TrainingLog log, int from, int to)
    {
        for (int step = from; step <= to; step++)
            log.OnStep(new StepReport(step, 1.0 / step, 1e-3, 0.5, 10 * step, 100));
    }

    [Test]
    public void WhatStandsBehindTheCheckpointIsCutOff()
    {
        (long length, string hash) checkpoint;
        using (TrainingLog log = new(Path))
        {
            Steps(log, 1, 2);
            checkpoint = (log.Length, log.Sha256);
            Steps(log, 3, 5);
        }
        byte[] whole = File.ReadAllBytes(Path);
        using (TrainingLog log = new(Path, checkpoint.length, checkpoint.hash))
        {
            Assert.That(new FileInfo(Path).Length, Is.EqualTo(checkpoint.length));
            Steps(log, 3, 5);
        }
        Assert.That(File.ReadAllBytes(Path), Is.EqualTo(whole));
    }

    [Test]
    public void ALogOfAnotherRunIsLeftAsItIs()
    {
        string hash;
        using (TrainingLog log = new(Path))
        {
            Steps(log, 1, 3);
            hash = log.Sha256;
        }
        byte[] before = File.ReadAllBytes(Path);
        Assert.That(
            () => new TrainingLog(Path, before.Length - 1, hash),
            Throws.TypeOf<InputException>().With.Message.Contains("not the log")
        );
        Assert.That(
            () => new TrainingLog(Path, before.Length + 1, hash),
            Throws.TypeOf<InputException>().With.Message.Contains("not the log")
        );
        Assert.That(
            () => new TrainingLog(folder.File("none.jsonl"), 1, hash),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file")
        );
        Assert.That(File.ReadAllBytes(Path), Is.EqualTo(before));
    }
}
