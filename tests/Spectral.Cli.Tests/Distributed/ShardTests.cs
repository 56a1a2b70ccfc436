using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Distributed;

/// <summary>
/// Tests --shard: the bits of ranks with whole models, the memory and the bytes that follow from its arithmetic, and
/// what it refuses.
/// </summary>
public sealed class ShardTests : RankTest
{
    /// <summary>How far measured memory may be above its arithmetic, for padding.</summary>
    private const double Padding = 0.1;

    /// <summary>
    /// Batches of 5 leave ranks without records at the end of an epoch, where units are asked for one by one. Methods
    /// that read the base's weights at the start or in each step, checkpointing, and evaluation with exact match.
    /// </summary>
    [TestCase(2, "--adapter", "lora", "--dropout", "0.1")]
    [TestCase(3, "--adapter", "lora", "--batch", "5", "--accumulate", "2", "--steps", "6")]
    [TestCase(4, "--adapter", "lora", "--batch", "5", "--steps", "6", "--checkpointing")]
    [TestCase(2, "--adapter", "speclora")]
    [TestCase(2, "--adapter", "pissa")]
    [TestCase(2, "--adapter", "dora")]
    [TestCase(2, "--adapter", "corda")]
    [TestCase(2, "--adapter", "lora", "--target", "q_proj,embed_tokens,lm_head")]
    [TestCase(2, "--adapter", "lora", "--train-also", "embed_tokens,norm")]
    [TestCase(2, "--adapter", "lora", "--optimizer", "mezo")]
    [TestCase(2, "--adapter", "lora", "--dtype", "bf16")]
    public void ShardsGiveTheBitsOfWholeModels(int ranks, params string[] options)
    {
        options = [.. options, "--eval", Data, "--eval-every", "2", "--batch", "4"];
        CommandLine.RunRanks(ranks, Train("whole", options)).Succeeded();
        CommandLine.RunRanks(ranks, Train("shards", [.. options, "--shard"])).Succeeded();
        AssertSameRun(At("shards"), At("whole"));
    }

    private static void AssertSameRun(string folder, string wanted)
    {
        foreach (string name in (string[])["loss", "grad_norm", "tokens"])
            Assert.That(Logged(folder, name), Is.EqualTo(Logged(wanted, name)), name);
        foreach (string name in (string[])["adapter_model.safetensors", "adapter_config.json"])
        {
            Assert.That(
                File.ReadAllBytes(Path.Combine(folder, name)),
                Is.EqualTo(File.ReadAllBytes(Path.Combine(wanted, name))),
                name
            );
        }
    }
}
