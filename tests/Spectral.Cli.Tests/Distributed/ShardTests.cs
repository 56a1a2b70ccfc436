using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Distributed;

/// <summary>
/// Tests finetune --shard: the bits of ranks with whole models, the memory and the bytes that follow from its
/// arithmetic, and what it refuses.
/// </summary>
public sealed class ShardTests : RankTest
{
    /// <summary>How far memory may be from its arithmetic, for alignment and padding.</summary>
    private const double Padding = 0.1;

    /// <summary>
    /// Batches of 5 leave ranks without records at the end of an epoch, where units are asked for one by one; the
    /// methods read the base's weights at the start, once per step, in calibration, or copy some.
    /// </summary>
    [TestCase(3, "--adapter", "lora", "--batch", "5", "--accumulate", "2", "--dropout", "0.1")]
    [TestCase(4, "--adapter", "lora", "--batch", "5", "--checkpointing", "--dtype", "bf16")]
    [TestCase(2, "--adapter", "speclora")]
    [TestCase(2, "--adapter", "dora", "--train-also", "embed_tokens,norm")]
    [TestCase(2, "--adapter", "lora", "--target", "q_proj,down_proj,embed_tokens,lm_head")]
    [TestCase(2, "--adapter", "corda")]
    [TestCase(2, "--adapter", "eva", "--calibration-records", "12")]
    [TestCase(2, "--adapter", "pissa", "--optimizer", "mezo")]
    [TestCase(2, "--adapter", "lora", "--quantize", "nf4")]
    [TestCase(3, "--adapter", "lora", "--quantize", "nf4", "--double-quantize", "--batch", "5", "--accumulate", "2")]
    [TestCase(2, "--adapter", "dora", "--quantize", "fp4", "--dtype", "bf16", "--checkpointing")]
    [TestCase(4, "--adapter", "speclora", "--quantize", "int8")]
    [TestCase(2, "--adapter", "corda", "--quantize", "fp8")]
    public void ShardsGiveTheBitsOfWholeModels(int ranks, params string[] options)
    {
        options = ["--batch", "4", "--steps", "6", .. options, "--eval", Data, "--eval-every", "3", "--json"];
        JsonElement whole = CommandLine.RunRanks(ranks, Train("whole", options)).Succeeded().Json;
        JsonElement shards = CommandLine.RunRanks(ranks, Train("shards", [.. options, "--shard"])).Succeeded().Json;
        AssertSameRun(At("shards"), At("whole"));
        foreach (string name in (string[])["eval_loss_before", "eval_loss", "exact_match"])
            Assert.That(shards.GetProperty(name).GetDouble(), Is.EqualTo(whole.GetProperty(name).GetDouble()), name);
    }

    /// <summary>
    /// Streams that run their work late and out of step, within what events allow, change no bit: gathers ahead and
    /// sums in backward wait for what they read, and are waited for.
    /// </summary>
    [Test]
    public void AsynchronousStreamsGiveTheSameBits([Values] bool divides)
    {
        string[] options =
        [
            "--adapter",
            "lora",
            "--steps",
            "6",
            "--batch",
            "4",
            .. divides ? ["--shard"] : new string[0],
        ];
        TinyModel.Repeat(Model, 6);
        CommandLine.RunRanks(2, Train("inline", options)).Succeeded();
        CommandLine.RunRanksOutOfStep(2, Train("late", options)).Succeeded();
        AssertSameRun(At("late"), At("inline"));
    }

    /// <summary>
    /// A rank holds 1/N of the weights and at most two units. A step sends 2 (N − 1) / N of the weights, gathered for
    /// forward and again for backward, beside the gradients. The sizes are those of the model's file.
    /// </summary>
    [Test]
    public void MemoryAndBytesAreThoseOfTheArithmetic([Values(2, 3, 4)] int ranks) => AssertMemoryAndBytes(ranks);

    [TestCase(2, "nf4", 4)]
    [TestCase(4, "int8", 8)]
    public void SoAreThoseOfQuantisedWeights(int ranks, string format, int bits) =>
        AssertMemoryAndBytes(ranks, bits, "--quantize", format);

    /// <summary>Codes of files are divided as those that are made: the bits of ranks with whole models.</summary>
    [TestCase("nf4", "--double-requantize")]
    [TestCase("fp8")]
    [TestCase("int8")]
    public void StoredCodesAreDividedToo(string format, params string[] more)
    {
        CommandLine.Run(Train("adapter", "--steps", "1")).Succeeded();
        string[] merge = ["merge", "--model", Model, "--adapter", At("adapter"), "--out", At("quantised")];
        CommandLine.Run([.. merge, "--requantize", format, .. more]).Succeeded();
        string[] options = ["--model", At("quantised"), "--batch", "5", "--eval", Data];
        CommandLine.RunRanks(3, Train("whole", options)).Succeeded();
        CommandLine.RunRanks(3, Train("shards", [.. options, "--shard"])).Succeeded();
        AssertSameRun(At("shards"), At("whole"));
    }

    private void AssertMemoryAndBytes(int ranks, int bits = 0, params string[] more)
    {
        TinyModel.Repeat(Model, 24);
        string[] options = ["--steps", "3", "--batch", "12", "--max-length", "16", "--json", .. more];
        JsonElement whole = CommandLine.RunRanks(ranks, Train("whole", options)).Succeeded().Json;
        JsonElement shards = CommandLine.RunRanks(ranks, Train("shards", [.. options, "--shard"])).Succeeded().Json;
        double[] units = Units(bits);
        double largest = units.OrderDescending().Take(2).Sum();
        double wanted = units.Sum() / ranks + largest;
        JsonElement[] memory = [.. shards.GetProperty("ranks").EnumerateArray()];
        Assert.That(memory, Has.Length.EqualTo(ranks));
        for (int rank = 0; rank < ranks; rank++)
        {
            double weights = memory[rank].GetProperty("peak_weight_bytes").GetDouble();
            Assert.That(weights, Is.InRange((1 - Padding) * wanted, (1 + Padding) * wanted), $"rank {rank}");
            // What all tensors took shrinks by as much, within the rounding of the pool to classes of an eighth.
            double before = whole.GetProperty("ranks")[rank].GetProperty("peak_memory_bytes").GetDouble();
            double now = memory[rank].GetProperty("peak_memory_bytes").GetDouble();
            Assert.That(
                before - now,
                Is.AtLeast(units.Sum() - 1.125 * (1 + Padding) * wanted),
                $"rank {rank}: {before}"
            );
        }

        double sent = 2.0 * (ranks - 1) / ranks * units.Sum();
        foreach ((double one, double all) in Logged(At("shards"), "bytes_sent").Zip(Logged(At("whole"), "bytes_sent")))
            Assert.That(one - all, Is.InRange(sent, (1 + Padding) * sent));
    }

    [Test]
    public void AKilledRankEndsAllAndTheRunResumesWithAnyNumber()
    {
        string[] options = ["--steps", "40", "--save-every", "2", "--batch", "4", "--shard"];
        AssertKilledRankEndsAllAndRunResumes(options);

        string[] longer = ["--steps", "42", .. options[2..]];
        CommandLine.RunRanks(3, [.. Train("killed", longer), "--resume"]).Succeeded();
        CommandLine.RunRanks(2, [.. Train("whole", longer), "--resume"]).Succeeded();
        AssertSameLosses(At("killed"), At("whole"));
    }

    [Test]
    public void WhatCannotBeDividedIsRefused()
    {
        Refused(Train("out", "--shard"), "--shard", "started alone", "mpirun -n 2");
        CommandLine
            .RunRanks(2, Train("out", "--shard", "--quantize", "nf4", "--adapter", "loftq"))
            .RefusedByRanks(2, "--shard", "loftq", "expected");
        CommandLine.RunRanks(2, Train("out", "--shard", "--graph")).RefusedByRanks(2, "--shard", "--graph");
        string[] run = Train("out");
        CommandLine.RunUnlikeRanks(run, [.. run, "--shard"]).RefusedByRanks(2, "rank 1 has --shard yes", "no");
        Assert.That(Directory.Exists(At("out")), Is.False);
    }

    /// <summary>
    /// Returns the bytes of what a step reads together: the embedding, each layer, the norm. Quantised matrices have
    /// codes, a table of all of them, and an F32 scale for each 64 elements with 4 bits, or for each row with 8.
    /// </summary>
    private double[] Units(int bits)
    {
        using var file = SafetensorsFile.Open(Path.Combine(Model, "model.safetensors"));
        return
        [
            .. file
                .Tensors.Values.GroupBy(tensor => string.Join('.', tensor.Name.Split('.')[..3]))
                .Select(unit => unit.Sum(Bytes)),
        ];

        double Bytes(SafetensorsTensor tensor)
        {
            if (bits == 0 || !tensor.Name.Contains("_proj.", StringComparison.Ordinal))
                return tensor.Data.Length;
            double scales = bits == 4 ? Math.Ceiling(tensor.Count / 64.0) : tensor.Shape[0];
            return tensor.Count * bits / 8.0 + 4 * scales + 4 * Math.Pow(2, bits);
        }
    }
}
