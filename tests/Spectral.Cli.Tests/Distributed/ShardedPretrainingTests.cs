using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Distributed;

/// <summary>
/// Tests pretrain --shard: the losses and weights of one process but for rounding, memory of 1/N, and checkpoints that
/// any number of ranks resumes.
/// </summary>
public sealed class ShardedPretrainingTests : RankTest
{
    /// <summary>How far weights may be apart, relative to the largest: gradients are rounded otherwise.</summary>
    private const double Tolerance = 1e-5;

    /// <summary>Batches of 5 and an epoch of 24 records leave ranks without records.</summary>
    [TestCase(3, "--batch", "5", "--accumulate", "2")]
    [TestCase(2, "--batch", "4", "--checkpointing")]
    [TestCase(4, "--batch", "5", "--optimizer", "lion")]
    [TestCase(2, "--batch", "4", "--optimizer", "sgd", "--grad-clip", "0.1")]
    public void ShardsTrainAsOneProcess(int ranks, params string[] options)
    {
        options = [.. options, "--eval", Data, "--eval-every", "3"];
        CommandLine.Run(Pretrain("one", options)).Succeeded();
        CommandLine.RunRanks(ranks, Pretrain("shards", [.. options, "--shard"])).Succeeded();
        AssertSameLosses(At("shards"), At("one"));
        AssertSameWeights(At("shards"), At("one"));
        CommandLine.RunRanks(ranks, Pretrain("again", [.. options, "--shard"])).Succeeded();
        RunFiles.AssertSame(At("again"), At("shards"));
    }

    /// <summary>New weights are those that one process draws.</summary>
    [Test]
    public void RandomWeightsAreThoseOfOneProcess()
    {
        File.Delete(Path.Combine(Model, "model.safetensors"));
        CommandLine.Run(Pretrain("one", "--steps", "2", "--batch", "4")).Succeeded();
        CommandLine.RunRanks(2, Pretrain("shards", "--steps", "2", "--batch", "4", "--shard")).Succeeded();
        AssertSameLosses(At("shards"), At("one"));
    }

    [Test]
    public void ACheckpointIsResumedWithAnyNumber()
    {
        string[] half = ["--batch", "4", "--steps", "4", "--shard", "--schedule", "constant"];
        string[] whole = ["--batch", "4", "--steps", "8", "--shard", "--schedule", "constant"];
        CommandLine.RunRanks(2, Pretrain("whole", whole)).Succeeded();
        foreach ((string name, int ranks) in new[] { ("same", 2), ("other", 3) })
        {
            CommandLine.RunRanks(2, Pretrain(name, half)).Succeeded();
            CommandLine.RunRanks(ranks, [.. Pretrain(name, whole), "--resume"]).Succeeded();
        }

        RunFiles.AssertSame(At("same"), At("whole"));
        AssertSameLosses(At("other"), At("whole"));
        AssertSameWeights(At("other"), At("whole"));
    }

    /// <summary>Masters, gradients and AdamW's moments are 16 bytes a weight in one process, and 16 / N here.</summary>
    [Test]
    public void ARankKeepsItsPartOfEverything([Values(2, 4)] int ranks)
    {
        TinyModel.Repeat(Model, 24);
        string[] options = ["--batch", "4", "--steps", "2", "--max-length", "16", "--json"];
        JsonElement one = CommandLine.RunRanks(ranks, Pretrain("one", options)).Succeeded().Json;
        JsonElement shards = CommandLine.RunRanks(ranks, Pretrain("shards", [.. options, "--shard"])).Succeeded().Json;
        double state = 16 * one.GetProperty("total_parameters").GetDouble();
        for (int rank = 0; rank < ranks; rank++)
        {
            double saved = Peak(one, rank) - Peak(shards, rank);
            // Two units of 26 are whole at a time, and one of gradients.
            Assert.That(saved, Is.AtLeast((0.9 * (ranks - 1) / ranks - 0.15) * state), $"rank {rank}");
        }

        static double Peak(JsonElement run, int rank) =>
            run.GetProperty("ranks")[rank].GetProperty("peak_memory_bytes").GetDouble();
    }

    [TestCase("--optimizer", "muon")]
    [TestCase("--optimizer", "adafactor")]
    [TestCase("--clip-groups", "layer")]
    [TestCase("--ema", "0.9")]
    public void WhatNeedsWholeWeightsIsRefused(params string[] options)
    {
        CommandLine
            .RunRanks(2, Pretrain("out", [.. options, "--shard"]))
            .RefusedByRanks(2, "--shard", options[^1][..3]);
        Assert.That(Directory.Exists(At("out")), Is.False);
    }

    private static void AssertSameWeights(string folder, string wanted)
    {
        using var own = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        using var other = SafetensorsFile.Open(Path.Combine(wanted, "model.safetensors"));
        Assert.That(own.Tensors.Keys, Is.EquivalentTo(other.Tensors.Keys));
        foreach (SafetensorsTensor tensor in other.Tensors.Values)
        {
            (float[] values, float[] expected) = (own[tensor.Name].ToFloats(), tensor.ToFloats());
            float largest = expected.Max(Math.Abs);
            double worst = values.Zip(expected, (a, b) => Math.Abs((double)a - b)).Max();
            Assert.That(worst <= Tolerance * largest, $"{tensor.Name}: {worst:R} of {largest:R}");
        }
    }

    private string[] Pretrain(string name, params string[] more)
    {
        string[] steps = more.Contains("--steps") ? [] : ["--steps", "6"];
        string[] cpu = ["--device", "cpu", "--threads", "1", "--lr", "1e-4"];
        return ["pretrain", "--model", Model, "--data", Data, .. cpu, .. steps, .. more, "--out", At(name)];
    }
}
