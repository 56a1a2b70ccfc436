using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Tests `--packing`, `--group-by-length` and `--neftune` of `finetune`.</summary>
public sealed class SequenceOptionTests : WorkFolder
{
    /// <summary>
    /// A step takes sequences in place of records, so that an epoch has fewer; evaluation gives the same loss.
    /// </summary>
    [Test]
    public void PackingTakesFewerStepsAndEvaluatesAlike()
    {
        JsonElement apart = Run("apart", "--epochs", "1", "--batch", "2", "--lr", "0", "--eval", Data);
        JsonElement packed = Run("packed", "--epochs", "1", "--batch", "2", "--lr", "0", "--eval", Data, "--packing");
        int steps = packed.GetProperty("steps").GetInt32();
        Assert.That(steps, Is.LessThan(apart.GetProperty("steps").GetInt32()).And.GreaterThan(0));
        Assert.That(
            packed.GetProperty("eval_loss").GetDouble(),
            Is.EqualTo(apart.GetProperty("eval_loss").GetDouble()).Within(1e-5)
        );
        Refused([.. Start("x"), "--steps", "1", "--packing", "--max-length", "3"], "data.jsonl");
    }

    [Test]
    public void GroupingTakesRecordsInAnotherOrder()
    {
        // seven lengths: of equal ones, grouping leaves the order as it is
        File.WriteAllLines(
            Data,
            Enumerable
                .Range(0, 24)
                .Select(i =>
                    JsonSerializer.Serialize(
                        new
                        {
                            prompt = string.Concat(Enumerable.Repeat($"{i % 10} again: ", 1 + 5 * i % 7)),
                            completion = $"{i % 10}",
                        }
                    )
                )
        );
        JsonElement apart = Run("apart", "--epochs", "1", "--batch", "2");
        JsonElement grouped = Run("grouped", "--epochs", "1", "--batch", "2", "--group-by-length");
        Assert.That(grouped.GetProperty("steps").GetInt32(), Is.EqualTo(apart.GetProperty("steps").GetInt32()));
        Assert.That(Losses("grouped"), Is.Not.EqualTo(Losses("apart")), "records in another order");
        Assert.That(Losses("grouped"), Is.EqualTo(LossesOf("again", "--group-by-length")), "the same order again");
    }

    [Test]
    public void NoiseChangesTrainingAndNotEvaluation()
    {
        JsonElement plain = Run("plain", "--steps", "2", "--lr", "0", "--eval", Data);
        JsonElement noisy = Run("noisy", "--steps", "2", "--lr", "0", "--eval", Data, "--neftune", "20");
        Assert.That(noisy.GetProperty("eval_loss").GetDouble(), Is.EqualTo(plain.GetProperty("eval_loss").GetDouble()));
        Assert.That(Losses("noisy"), Is.Not.EqualTo(Losses("plain")));
        Refused([.. Start("x"), "--steps", "1", "--neftune", "0"], "--neftune");
        Refused([.. Start("x"), "--steps", "1", "--neftune", "much"], "--neftune");
    }

    private string[] Start(string name) =>
        ["finetune", "--model", Model, "--data", Data, "--device", "cpu", "--target", "q_proj", "--out", At(name)];

    private JsonElement Run(string name, params string[] options) =>
        CommandLine.Run([.. Start(name), .. options, "--json"]).Succeeded().Json;

    private double[] LossesOf(string name, params string[] options)
    {
        Run(name, ["--epochs", "1", "--batch", "2", .. options]);
        return Losses(name);
    }

    private double[] Losses(string name) =>
        [
            .. File.ReadLines(Path.Combine(At(name), "train_log.jsonl"))
                .Select(line => JsonDocument.Parse(line).RootElement)
                .Where(step => step.TryGetProperty("loss", out _))
                .Select(step => step.GetProperty("loss").GetDouble()),
        ];
}
