using System.Diagnostics;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Distributed;

/// <summary>
/// Tests what ranks do when one differs or dies: a refusal that names the difference, an end of all, and a checkpoint
/// that any number of ranks resumes.
/// </summary>
public sealed class RankFaultTests : RankTest
{
    [Test]
    public void RanksThatDifferAreRefused()
    {
        string[] run = Train("out");
        CommandLine.RunUnlikeRanks(run, [.. run, "--lr", "0.5"]).RefusedByRanks(2, "rank 1 has --lr 0.5", "0.0001");

        string other = TinyModel.WriteData(At("other.jsonl"), 24, seed: 4);
        CommandLine.RunUnlikeRanks(run, [.. run, "--data", other]).RefusedByRanks(2, "rank 1 has in --data contents");

        string model = TinyModel.Create(At("other"), seed: 2);
        CommandLine
            .RunUnlikeRanks(run, [.. run, "--model", model])
            .RefusedByRanks(2, "rank 1 has in --model model.safetensors contents");
        Assert.That(Directory.Exists(At("out")), Is.False);
    }

    [Test]
    public void WhatAllRanksComplainOfIsSaidOnce()
    {
        Outcome outcome = CommandLine.RunRanks(3, Train("out", "--data", At("absent.jsonl")));
        outcome.RefusedByRanks(2, "absent.jsonl");
        Assert.That(outcome.Error.Split("absent.jsonl"), Has.Length.EqualTo(2), outcome.Error);
    }

    /// <summary>
    /// Ranks that were started one by one, as torchrun does it, need GPUs: all say so, and none waits.
    /// </summary>
    [Test]
    public void RanksWithoutMpiAreRefusedOnTheCpuDevice()
    {
        Outcome[] outcomes = CommandLine.RunByHand(2, 29517, Train("out"));
        foreach (Outcome outcome in outcomes)
            outcome.Refused(2, "RANK and WORLD_SIZE", "mpirun or srun");
        Assert.That(outcomes[1].Error, Does.Contain("rank 1 of 2"));
        Assert.That(Directory.Exists(At("out")), Is.False);
    }

    [Test]
    public void AKilledRankEndsAllAndTheRunResumes()
    {
        string[] options = ["--steps", "40", "--save-every", "2", "--batch", "4", "--dropout", "0.1"];
        AssertKilledRankEndsAllAndRunResumes(options);
    }

    /// <summary>Once there is a checkpoint, a reader finds a whole one at any time.</summary>
    [Test]
    public void ACheckpointIsReplacedWithoutAHole()
    {
        using Process process = CommandLine.StartRanks(2, Train("run", "--steps", "30", "--save-every", "1"));
        string state = RunFiles.StateFile(At("run"));
        int seen = 0;
        try
        {
            for (; !process.HasExited; Thread.Sleep(1))
            {
                if (seen == 0 && !File.Exists(state))
                    continue;
                using (SafetensorsFile.Open(state))
                    seen++;
            }
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }

        CommandLine.Finish(process).Succeeded();
        Assert.That(seen, Is.GreaterThan(1));
    }

    [Test]
    public void AnotherNumberOfRanksResumes()
    {
        CommandLine.RunRanks(2, Train("changed", "--batch", "4", "--steps", "4")).Succeeded();
        string[] longer = [.. Train("changed", "--batch", "4", "--steps", "8"), "--resume"];
        CommandLine.RunRanks(3, longer).Succeeded();
        Assert.That(Logged(At("changed"), "loss"), Has.Length.EqualTo(8));
        // The first four steps followed the schedule of a run of four.
        CommandLine.Run(Train("four", "--batch", "4", "--steps", "4")).Succeeded();
        CommandLine.Run([.. Train("four", "--batch", "4", "--steps", "8"), "--resume"]).Succeeded();
        AssertSameLosses(At("changed"), At("four"));
    }
}
