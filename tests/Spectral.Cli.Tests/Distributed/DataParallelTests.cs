using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Distributed;

/// <summary>
/// Tests that ranks started by mpirun train as one process with the same batch: losses, evaluation, bytes sent, and the
/// same bits from run to run.
/// </summary>
public sealed class DataParallelTests : RankTest
{
    /// <summary>
    /// A batch of 5 and an epoch of 24 records divide evenly by no number of ranks above 1: shares differ in size, and
    /// with 4 ranks some are empty at the end of an epoch.
    /// </summary>
    [Test]
    public void RanksTrainAsOneProcess([Values(1, 2, 3, 4)] int ranks)
    {
        string[] options =
        [
            "--batch",
            "5",
            "--accumulate",
            "2",
            "--steps",
            "6",
            "--eval",
            Data,
            "--eval-every",
            "3",
            "--json",
        ];
        JsonElement one = CommandLine.Run(Train("one", options)).Succeeded().Json;
        JsonElement all = CommandLine.RunRanks(ranks, Train("ranks", options)).Succeeded().Json;
        AssertSameLosses(At("ranks"), At("one"));
        foreach (string name in (string[])["eval_loss_before", "eval_loss", "exact_match", "steps"])
            AssertClose(all.GetProperty(name).GetDouble(), one.GetProperty(name).GetDouble(), name);
        Assert.That(
            Directory.GetFiles(At("ranks")).Select(Path.GetFileName).Order(),
            Is.EqualTo(Directory.GetFiles(At("one")).Select(Path.GetFileName).Order())
        );
        AssertBytes(At("ranks"), ranks);
    }

    [Test]
    public void TheSameRanksGiveTheSameBits()
    {
        string[] options = ["--dropout", "0.1", "--neftune", "5", "--eval", Data, "--lr", "1e-2"];
        CommandLine.RunRanks(2, Train("first", options)).Succeeded();
        CommandLine.RunRanks(2, Train("second", options)).Succeeded();
        RunFiles.AssertSame(At("second"), At("first"));
    }

    /// <summary>Methods and optimizers that take sums over the batch in other places than the gradients.</summary>
    [TestCase("--adapter", "corda")]
    [TestCase("--adapter", "eva", "--calibration-records", "12")]
    [TestCase("--adapter", "lora-ga")]
    [TestCase("--adapter", "adalora", "--set", "interval=2")]
    [TestCase("--batch", "2", "--clip-groups", "component", "--grad-clip", "0.01")]
    [TestCase("--graph", "--batch", "3")]
    [TestCase("--packing", "--max-length", "48")]
    [TestCase("--optimizer", "mezo")]
    public void SumsOverTheBatchAreOverAllRanks(params string[] options)
    {
        CommandLine.Run(Train("one", options)).Succeeded();
        CommandLine.RunRanks(2, Train("ranks", options)).Succeeded();
        AssertSameLosses(At("ranks"), At("one"));
    }

    /// <summary>
    /// KTO has its divergence from all pairs of a step, once the adapter has moved. Batches of 3 leave a fourth rank
    /// none.
    /// </summary>
    [TestCase("dpo", 4)]
    [TestCase("kto", 2)]
    [TestCase("kto", 4)]
    public void PairsAreSharedToo(string loss, int ranks)
    {
        string pairs = At("pairs.jsonl");
        File.WriteAllLines(
            pairs,
            Enumerable
                .Range(0, 9)
                .Select(i => $$"""{"prompt":"{{i}} again: ","chosen":"{{i}}{{i}}","rejected":"{{9 - i}}"}""")
        );
        string[] options = ["--data", pairs, "--eval", pairs, "--loss", loss, "--batch", "3", "--lr", "3e-3", "--json"];
        JsonElement one = CommandLine.Run(Train("one", options)).Succeeded().Json;
        JsonElement all = CommandLine.RunRanks(ranks, Train("ranks", options)).Succeeded().Json;
        AssertSameLosses(At("ranks"), At("one"));
        AssertClose(
            all.GetProperty("eval_loss").GetDouble(),
            one.GetProperty("eval_loss").GetDouble(),
            "evaluation on pairs"
        );
    }

    [Test]
    public void PretrainingIsSharedToo()
    {
        string[] run = ["pretrain", "--model", Model, "--data", Data, "--steps", "3", "--batch", "5", "--lr", "1e-4"];
        string[] cpu = ["--device", "cpu", "--threads", "1"];
        CommandLine.Run([.. run, .. cpu, "--out", At("one")]).Succeeded();
        CommandLine.RunRanks(3, [.. run, .. cpu, "--out", At("ranks")]).Succeeded();
        AssertSameLosses(At("ranks"), At("one"));
    }

    /// <summary>A record that overflows is seen by one rank, and no rank updates anything in its step.</summary>
    [Test]
    public void AStepThatIsNotFiniteOnOneRankIsSkippedOnAll()
    {
        Overflow(Model, '~');
        string[] lines = File.ReadAllLines(Data);
        lines[4] = """{"prompt":"~","completion":"1"}"""; // in the third step, on the first rank
        File.WriteAllLines(Data, lines);
        string[] options = ["--no-shuffle", "--target", "q_proj", "--json"];
        JsonElement one = CommandLine.Run(Train("one", options)).Succeeded().Json;
        JsonElement all = CommandLine.RunRanks(2, Train("ranks", options)).Succeeded().Json;
        Assert.That(one.GetProperty("skipped_steps").GetInt32(), Is.EqualTo(1));
        Assert.That(all.GetProperty("skipped_steps").GetInt32(), Is.EqualTo(1));
        Assert.That(double.IsNaN(Logged(At("ranks"), "loss")[2]));
        AssertSameLosses(At("ranks"), At("one"));
    }

    /// <summary>
    /// A ring sends 2 (N − 1) / N of the gradients, but for the rounding of its pieces in each of eight buckets; the
    /// loss and two counts come on top.
    /// </summary>
    private static void AssertBytes(string folder, int ranks)
    {
        double[] sent = Logged(folder, "bytes_sent");
        if (ranks == 1)
        {
            Assert.That(sent, Is.All.NaN);
            return;
        }

        using var adapter = SafetensorsFile.Open(Path.Combine(folder, "adapter_model.safetensors"));
        double gradients = adapter.Tensors.Values.Sum(tensor => (double)tensor.Data.Length);
        double wanted = 2.0 * (ranks - 1) / ranks * gradients;
        Assert.That(sent, Is.All.InRange(wanted - 8 * sizeof(double), wanted + 128));
    }

    /// <summary>
    /// Makes the first MLP overflow at one token, and leaves it as it is at all others: the first dimension of the
    /// residual stream is 0 there for all tokens but this.
    /// </summary>
    private static void Overflow(string model, char token)
    {
        string weights = Path.Combine(model, "model.safetensors");
        var tensors = new List<TensorToWrite>();
        using (var file = SafetensorsFile.Open(weights))
        {
            foreach (SafetensorsTensor tensor in file.Tensors.Values)
            {
                float[] values = tensor.ToFloats();
                if (tensor.Name == "model.embed_tokens.weight")
                {
                    for (int row = 0; row < TinyModel.Vocabulary; row++)
                        values[row * TinyModel.Hidden] = row == token ? 1 : 0;
                }
                else if (tensor.Name == "model.layers.0.self_attn.o_proj.weight")
                {
                    values.AsSpan(0, TinyModel.Hidden).Clear();
                }
                else if (tensor.Name is "model.layers.0.mlp.gate_proj.weight" or "model.layers.0.mlp.up_proj.weight")
                {
                    values.AsSpan(0, TinyModel.Hidden).Clear();
                    values[0] = 1e20f; // gate times up: 1e40
                }

                tensors.Add(TensorToWrite.Floats(tensor.Name, StoredType.F32, [.. tensor.Shape], () => values));
            }
        }

        SafetensorsWriter.Write(weights, tensors);
    }
}
