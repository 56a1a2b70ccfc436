using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Commands;

/// <summary>
/// <c>--ablate</c> of finetune and continual: training does not see the directions of the file, evaluation does.
/// </summary>
public sealed class AblationTests : WorkFolder
{
    private const string Weights = "adapter_model.safetensors";

    private string Directions => At("directions.safetensors");

    private string[] Lora =>
        Finetune("--adapter", "lora", "--rank", "2", "--schedule", "constant", "--ablate", Directions);

    /// <summary>
    /// Without any direction after the last block, all logits are zero: the loss is ln(vocabulary), no gradient is
    /// left, and the model stays what it was.
    /// </summary>
    [Test]
    public void WithoutAllDirectionsNothingIsLearned()
    {
        Write($"model.layers.{TinyModel.Layers - 1}", TinyModel.Hidden, (i, j) => i == j ? 1 : 0);
        CommandLine.Run(Lora).Succeeded();
        double[] losses =
        [
            .. File.ReadLines(Path.Combine(Out, "train_log.jsonl"))
                .Select(line => JsonSerializer.Deserialize<JsonElement>(line).GetProperty("loss").GetDouble()),
        ];
        Assert.That(losses, Is.All.EqualTo(Math.Log(TinyModel.Vocabulary)).Within(1e-5));
        using var file = SafetensorsFile.Open(Path.Combine(Out, Weights));
        foreach (SafetensorsTensor tensor in file.Tensors.Values.Where(tensor => tensor.Name.Contains("lora_B")))
            Assert.That(tensor.ToFloats(), Is.All.Zero, tensor.Name);
        string[] eval = ["eval", "--model", Model, "--data", Data, "--device", "cpu", "--json"];
        JsonElement before = CommandLine.Run(eval).Succeeded().Json;
        JsonElement after = CommandLine.Run([.. eval, "--adapter", Out]).Succeeded().Json;
        Assert.That(after.GetProperty("loss").GetDouble(), Is.EqualTo(before.GetProperty("loss").GetDouble()));
        Assert.That(before.GetProperty("loss").GetDouble(), Is.Not.EqualTo(losses[0]).Within(1e-3), "it sees them");
    }

    [Test]
    public void ARunResumesWithItsDirectionsOnly()
    {
        Write("model.layers.0", 2, (i, j) => Math.Sin((5 * i) + j));
        CommandLine.Run([.. Lora, "--steps", "4", "--out", At("whole")]).Succeeded();
        CommandLine.Run([.. Lora[..^2], "--steps", "4", "--out", At("plain")]).Succeeded();
        CommandLine.Run(Lora).Succeeded();
        string[] resumed = [.. Lora, "--resume", "--steps", "4"];
        Write("model.layers.0", 2, (i, j) => Math.Cos((5 * i) + j));
        Refused(resumed, "--ablate");
        Write("model.layers.0", 2, (i, j) => Math.Sin((5 * i) + j));
        CommandLine.Run(resumed).Succeeded();
        Assert.Multiple(() =>
        {
            Assert.That(Bytes("out"), Is.EqualTo(Bytes("whole")));
            Assert.That(Bytes("plain"), Is.Not.EqualTo(Bytes("whole")), "they make a difference");
        });
    }

    [Test]
    public void InContinualEachTaskIsTheRunOfFinetune([Values("lora", "osf")] string adapter)
    {
        Write("model.layers.0", 2, (i, j) => Math.Sin((5 * i) + j));
        foreach ((string task, int seed) in new[] { ("a", 5), ("b", 6) })
        {
            Directory.CreateDirectory(At(task));
            TinyModel.WriteData(At($"{task}/train.jsonl"), 12, seed);
            TinyModel.WriteData(At($"{task}/eval.jsonl"), 6, seed + 10);
        }

        string[] shared =
        [
            .. new[] { "--adapter", adapter, "--steps", "3", "--batch", "2", "--lr", "1e-2", "--device", "cpu" },
            "--ablate",
            Directions,
        ];
        string[] run = ["continual", "--model", Model, "--out", Out, "--task", At("a"), "--task", At("b"), .. shared];
        CommandLine.Run(run).Succeeded();
        string[] first =
        [
            "finetune",
            "--model",
            Model,
            "--data",
            At("a/train.jsonl"),
            "--out",
            At("alone-1"),
            .. shared,
        ];
        CommandLine.Run(first).Succeeded();
        string[] second = ["finetune", "--data", At("b/train.jsonl"), "--seed", "1", "--out", At("alone-2"), .. shared];
        if (adapter == "osf")
        {
            CommandLine
                .Run("merge", "--model", Model, "--adapter", At("alone-1"), "--out", At("merged"), "--device", "cpu")
                .Succeeded();
            CommandLine.Run([.. second, "--model", At("merged")]).Succeeded();
        }
        else
        {
            CommandLine.Run([.. second, "--model", Model, "--init-adapter", At("alone-1")]).Succeeded();
        }

        Assert.That(Bytes("out/1-a"), Is.EqualTo(Bytes("alone-1")));
        Assert.That(Bytes("out/2-b"), Is.EqualTo(Bytes("alone-2")));
        Write("model.layers.0", 2, (i, j) => i + j);
        Refused([.. run, "--resume"], "--ablate");
    }

    [Test]
    public void DirectionsOfAnotherModelAreRefused()
    {
        Write("model.layers.7", 1, (_, _) => 1);
        CommandLine.Run(Lora).Refused(2, "model.layers.7", "expected the name of a block");
        string[] run = ["continual", "--model", Model, "--out", At("tasks"), "--task", Data, "--eval", $"data={Data}"];
        CommandLine
            .Run([.. run, "--adapter", "lora", "--steps", "1", "--device", "cpu", "--ablate", Directions])
            .Refused(2, "model.layers.7", "expected the name of a block");
    }

    private byte[] Bytes(string folder) => File.ReadAllBytes(Path.Combine(At(folder), Weights));

    private void Write(string block, int count, Func<int, int, double> value)
    {
        float[] values =
        [
            .. Enumerable
                .Range(0, count * TinyModel.Hidden)
                .Select(i => (float)value(i / TinyModel.Hidden, i % TinyModel.Hidden)),
        ];
        SafetensorsWriter.Write(
            Directions,
            [TensorToWrite.Floats(block, StoredType.F32, [count, TinyModel.Hidden], () => values)]
        );
    }
}
