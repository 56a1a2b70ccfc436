using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Compares what `plan` says with the peak that the same run reports.</summary>
public sealed class PlanCommandTests : WorkFolder
{
    private const int Length = 96;

    [SetUp]
    public void WriteLongRecords() =>
        File.WriteAllLines(
            Data,
            Enumerable.Range(0, 24).Select(_ => JsonSerializer.Serialize(new { text = new string('a', 200) }))
        );

    [TestCase("--adapter", "lora")]
    [TestCase("--adapter", "speclora")]
    [TestCase("--adapter", "dora", "--rank", "16")]
    [TestCase("--adapter", "lora", "--checkpointing")]
    [TestCase("--adapter", "lora", "--batch", "2", "--accumulate", "2")]
    [TestCase("--adapter", "lora", "--dtype", "bf16")]
    [TestCase("--adapter", "lora", "--optimizer", "muon")]
    [TestCase("--adapter", "lora", "--optimizer", "adamw8bit", "--rank", "64")]
    [TestCase("--adapter", "lora", "--target", "q_proj,lm_head", "--train-also", "norm")]
    [TestCase("--adapter", "lora", "--offload-optimizer", "--rank", "64")]
    [TestCase("--adapter", "eva", "--calibration-records", "8")]
    [TestCase("--adapter", "p-tuning", "--set", "virtual-tokens=5")]
    public void ThePeakIsThatOfTheRun(params string[] options)
    {
        string[] common = [.. options, "--max-length", $"{Length}", "--device", "cpu"];
        long planned = Plan(common).GetProperty("peak_memory_bytes").GetInt64();
        long measured = Finetuned(["--data", Data, .. common]);
        TestContext.Out.WriteLine($"{string.Join(' ', options)}: planned {planned:N0}, measured {measured:N0}");
        Assert.That((double)planned, Is.EqualTo((double)measured).Within(10).Percent);
    }

    /// <summary>Every rank has a peak of its own; the plan is of the one with the largest share of a batch.</summary>
    [TestCase(2, "--batch", "4")]
    [TestCase(2, "--batch", "4", "--shard")]
    [TestCase(3, "--batch", "5", "--shard", "--checkpointing", "--dtype", "bf16")]
    [TestCase(4, "--batch", "4", "--shard", "--quantize", "nf4", "--eval")]
    [TestCase(2, "--batch", "4", "--shard", "--adapter", "eva", "--calibration-records", "8")]
    public void ThePeakIsThatOfARank(int ranks, params string[] options)
    {
        TinyModel.Repeat(Model, 12);
        string[] common = [.. options, .. options[^1] == "--eval" ? [Data] : Array.Empty<string>()];
        common = [.. common, "--data", Data, "--max-length", $"{Length}", "--device", "cpu"];
        JsonElement plan = Plan([.. common, "--ranks", $"{ranks}"]);
        Assert.That(
            plan.GetProperty("parts").EnumerateObject().Select(part => part.Value.GetInt64()),
            Is.All.Not.Negative
        );
        long planned = plan.GetProperty("peak_memory_bytes").GetInt64();
        string[] run = ["finetune", "--model", Model, "--out", Out, "--steps", "3", "--threads", "1", "--json"];
        JsonElement measured = CommandLine.RunRanks(ranks, [.. run, .. common]).Succeeded().Json;
        long[] peaks =
        [
            .. measured
                .GetProperty("ranks")
                .EnumerateArray()
                .Select(rank => rank.GetProperty("peak_memory_bytes").GetInt64()),
        ];
        TestContext.Out.WriteLine($"planned {planned:N0}, measured {string.Join(", ", peaks)}");
        Assert.That((double)planned, Is.EqualTo((double)peaks.Max()).Within(10).Percent);
    }

    [Test]
    public void JoinedRecordsFillTheirSequences()
    {
        File.WriteAllLines(
            Data,
            Enumerable.Range(0, 40).Select(i => JsonSerializer.Serialize(new { text = new string('a', 40 + i) }))
        );
        string[] common = ["--data", Data, "--packing", "--batch", "4", "--device", "cpu"];
        JsonElement plan = Plan([.. common, "--max-length", "180"]);
        Assert.That(plan.GetProperty("length").GetInt32(), Is.InRange(170, 180));
        Assert.That(
            (double)plan.GetProperty("peak_memory_bytes").GetInt64(),
            Is.EqualTo((double)Finetuned([.. common, "--max-length", "180"])).Within(10).Percent
        );
        string[] Advice(string longest) =>
            [
                .. Plan([.. common, "--max-length", longest])
                    .GetProperty("options")
                    .EnumerateArray()
                    .Select(saving => saving.GetProperty("option").GetString()!),
            ];
        Assert.That(Advice("180"), Does.Contain("--max-length 90").And.Contains("--batch 2 --accumulate 2"));
        Assert.That(Advice("100"), Has.None.StartsWith("--max-length"), "50 tokens are fewer than a record's");
    }

    [Test]
    public void EvaluationsCount()
    {
        // What the loss head takes for a batch of 192 tokens each is more than a step on the first token's records.
        File.WriteAllText(Data, JsonSerializer.Serialize(new { text = "ab" }) + "\n");
        string held = At("held.jsonl");
        File.WriteAllLines(
            held,
            Enumerable.Range(0, 24).Select(_ => JsonSerializer.Serialize(new { text = new string('a', 400) }))
        );
        string[] common = ["--max-length", "192", "--device", "cpu", "--data", Data];
        long without = Plan(common).GetProperty("peak_memory_bytes").GetInt64();
        JsonElement plan = Plan([.. common, "--eval", held]);
        long planned = plan.GetProperty("peak_memory_bytes").GetInt64();
        Assert.That(
            planned,
            Is.GreaterThan(1.1 * without).And.EqualTo(plan.GetProperty("evaluation_bytes").GetInt64())
        );
        Assert.That((double)planned, Is.EqualTo((double)Finetuned([.. common, "--eval", held])).Within(10).Percent);
    }

    [Test]
    public void ARunThatGoesOnFromAnAdapterIsPlanned()
    {
        string[] common = ["--data", Data, "--max-length", $"{Length}", "--device", "cpu"];
        string first = At("first");
        CommandLine
            .Run(["finetune", "--model", Model, "--out", first, "--steps", "1", "--rank", "32", .. common])
            .Succeeded();
        long planned = Plan([.. common, "--init-adapter", first]).GetProperty("peak_memory_bytes").GetInt64();
        long other = Plan(common).GetProperty("peak_memory_bytes").GetInt64();
        Assert.That(planned, Is.GreaterThan(other), "of rank 32, not of the default's");
        Assert.That(
            (double)planned,
            Is.EqualTo((double)Finetuned([.. common, "--init-adapter", first])).Within(10).Percent
        );
        Refused(["plan", "--model", Model, "--init-adapter", first, "--rank", "4"], "--rank \"4\"", "has 32");
        Refused(["plan", "--model", Model, "--init-adapter", At("none")], "none");
    }

    [Test]
    public void NoWeightsAndNoTokenizerAreRead()
    {
        JsonElement whole = Plan("--adapter", "lora");
        File.Delete(Path.Combine(Model, "model.safetensors"));
        File.Delete(Path.Combine(Model, "tokenizer.json"));
        Assert.That(Plan("--adapter", "lora").ToString(), Is.EqualTo(whole.ToString()));
    }

    [Test]
    public void TheOptionsSaveWhatAPlanWithThemSays()
    {
        JsonElement plan = Plan("--adapter", "lora");
        JsonElement[] options = [.. plan.GetProperty("options").EnumerateArray()];
        Assert.That(
            options.Select(option => option.GetProperty("option").GetString()),
            Is.SupersetOf(new[] { "--checkpointing", "--batch 4 --accumulate 2", "--max-length 128", "--dtype bf16" })
        );
        foreach (JsonElement option in options)
        {
            string[] text = option.GetProperty("option").GetString()!.Split(' ');
            long peak = Plan(["--adapter", "lora", .. text]).GetProperty("peak_memory_bytes").GetInt64();
            Assert.That(option.GetProperty("peak_memory_bytes").GetInt64(), Is.EqualTo(peak), string.Join(' ', text));
            Assert.That(
                option.GetProperty("saves_bytes").GetInt64(),
                Is.EqualTo(plan.GetProperty("peak_memory_bytes").GetInt64() - peak).And.Positive
            );
        }
    }

    [Test]
    public void TheTableHasThePartsAndTheirSum()
    {
        string text = CommandLine
            .Run("plan", "--model", Model, "--device", "cpu", "--max-memory", "1MiB")
            .Succeeded()
            .Output;
        foreach (
            string part in new[] { "weights", "adapter", "gradients", "optimizer state", "activations", "loss head" }
        )
        {
            Assert.That(text, Does.Match($@"(?m)^{part} +[\d.]+ +[\d.]+ %$"));
        }
        Assert.That(text, Does.Match(@"peak [\d.]+ MiB of 1 MiB: it does not fit"));
        Assert.That(text, Does.Match(@"(?m)^--checkpointing +[\d.]+ +[\d.]+$"));
        JsonElement plan = Plan();
        Assert.That(
            plan.GetProperty("parts").EnumerateObject().Sum(part => part.Value.GetInt64()),
            Is.EqualTo(plan.GetProperty("step_bytes").GetInt64())
        );
    }

    [Test]
    public void BadInputIsRefusedInALine()
    {
        Refused(["plan"], "--model");
        Refused(["plan", "--model", At("none")], "none");
        Refused(["plan", "--model", Model, "--adapter", "vera", "--train-also", "nothing"], "nothing");
        Refused(["plan", "--model", Model, "--optimizer", "mezo", "--checkpointing"], "expected no --checkpointing");
        Refused(["plan", "--model", Model, "--shard"], "--shard", "expected --ranks 2");
        Refused(["plan", "--model", Model, "--ranks", "0"], "--ranks");
        Refused(["plan", "--model", Model, "--ranks", "2", "--shard", "--graph"], "expected no --graph");
        Refused(["plan", "--model", Model, "--max-memory", "lots"], "--max-memory \"lots\"", "expected a size");
        File.WriteAllText(Path.Combine(Model, "config.json"), "{}");
        Refused(["plan", "--model", Model], "config.json");
    }

    private long Finetuned(string[] options) =>
        CommandLine
            .Run(["finetune", "--model", Model, "--out", Out, "--steps", "3", "--json", .. options])
            .Succeeded()
            .Json.GetProperty("peak_memory_bytes")
            .GetInt64();

    private JsonElement Plan(params string[] options) =>
        CommandLine.Run(["plan", "--model", Model, "--device", "cpu", "--json", .. options]).Succeeded().Json;
}
