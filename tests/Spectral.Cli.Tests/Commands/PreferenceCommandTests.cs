using System.Globalization;
using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Tests losses on pairs end to end, against their formulas on log-probabilities of single records.</summary>
public sealed class PreferenceCommandTests : WorkFolder
{
    private static readonly (string Prompt, string Chosen, string Rejected)[] Pairs =
    [
        ("1 again: ", "11", "12345"),
        ("ab", " cd", "x"),
        ("Question? ", "a longer answer", "no"),
        ("", "begin", "end"),
    ];

    private string PairFile => At("pairs.jsonl");

    // The formulas of docs/preference.md, in doubles.
    [TestCase("dpo")]
    [TestCase("dpo", "--beta", "0.7", "--set", "loss.label-smoothing=0.1")]
    [TestCase("kto")]
    [TestCase("kto", "--set", "loss.beta=0.4", "--set", "loss.undesirable-weight=2")]
    [TestCase("orpo", "--beta", "0.25")]
    [TestCase("simpo", "--set", "loss.gamma=1.2")]
    public void TheFirstStepAndTheEvaluationAreThoseOfTheFormula(string name, params string[] settings)
    {
        string start = At("start");
        CommandLine.Run(Finetune("--out", start, "--steps", "6", "--lr", "0.02", "--adapter", "lora")).Succeeded();
        WritePairs();
        Expected expected = Expect(name, settings, start);
        string[] loss = ["--loss", name, .. settings, "--data", PairFile];
        JsonElement run = CommandLine
            .Run(Finetune([.. loss, "--init-adapter", start, "--no-shuffle", "--batch", "4", "--steps", "1", "--json"]))
            .Succeeded()
            .Json;
        Assert.That(run.GetProperty("loss").GetString(), Is.EqualTo(name));
        using var step = JsonDocument.Parse(File.ReadAllLines(Path.Combine(Out, "train_log.jsonl"))[0]);
        Verify(step.RootElement);
        string[] evaluate = ["eval", "--model", Model, "--adapter", start, "--device", "cpu", "--json"];
        JsonElement scores = CommandLine.Run([.. evaluate, .. loss]).Succeeded().Json;
        Verify(scores);
        Assert.That(scores.GetProperty("records").GetInt32(), Is.EqualTo(4));
        Assert.That(scores.GetProperty("perplexity").ValueKind, Is.EqualTo(JsonValueKind.Null));

        void Verify(JsonElement json) =>
            Assert.Multiple(() =>
            {
                Assert.That(json.GetProperty("loss").GetDouble(), Is.EqualTo(expected.Loss).Within(2e-5));
                Assert.That(
                    json.GetProperty("chosen_reward").GetDouble(),
                    Is.EqualTo(expected.ChosenReward).Within(2e-5)
                );
                Assert.That(
                    json.GetProperty("rejected_reward").GetDouble(),
                    Is.EqualTo(expected.RejectedReward).Within(2e-5)
                );
                Assert.That(json.GetProperty("reward_accuracy").GetDouble(), Is.EqualTo(expected.Accuracy));
            });
    }

    [Test]
    public void ARunIsLoggedEvaluatedAndResumed()
    {
        WritePairs();
        string[] run =
        [
            .. Finetune("--data", PairFile, "--eval", PairFile, "--loss", "kto", "--accumulate", "2", "--epochs", "3"),
            "--schedule",
            "constant",
            "--log",
            "csv,tensorboard",
            "--json",
        ];
        JsonElement json = CommandLine.Run(run).Succeeded().Json;
        Assert.Multiple(() =>
        {
            Assert.That(json.GetProperty("steps").GetInt32(), Is.EqualTo(3));
            Assert.That(json.GetProperty("eval_loss_before").GetDouble(), Is.EqualTo(0.5).Within(1e-6));
            Assert.That(json.GetProperty("loss_settings").GetProperty("beta").GetDouble(), Is.EqualTo(0.1));
            Assert.That(json.GetProperty("chosen_reward_before").GetDouble(), Is.Zero.Within(1e-6));
            Assert.That(
                json.GetProperty("chosen_reward").GetDouble(),
                Is.GreaterThan(json.GetProperty("rejected_reward").GetDouble())
            );
        });
        string report = File.ReadAllText(Path.Combine(Out, "report.html"));
        Assert.That(report, Does.Contain("kto: ").And.Contain("Reward accuracy").And.Not.Contain("Perplexity"));
        string table = File.ReadAllText(Path.Combine(Out, "train_log.csv"));
        CommandLine.Run([.. run, "--out", At("again"), "--steps", "1"]).Refused(2, "expected one of the two");
        string[] first = [.. run.Where(word => word is not ("--epochs" or "3")), "--out", At("again"), "--resume"];
        CommandLine.Run([.. first, "--steps", "2"]).Succeeded();
        CommandLine.Run([.. first, "--steps", "3"]).Succeeded();
        Assert.That(
            Untimed(File.ReadAllText(Path.Combine(At("again"), "train_log.csv"))).Where(line => line[6].Length == 0),
            Is.EqualTo(Untimed(table).Where(line => line[6].Length == 0))
        );

        static IEnumerable<string[]> Untimed(string csv) =>
            csv.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => line.Split(','))
                .Select(cells => (string[])[.. cells[..5], "", .. cells[6..]]);
    }

    [Test]
    public void ConversationsAreRenderedByTheModelsTemplate()
    {
        File.WriteAllText(
            Path.Combine(Model, "chat_template.jinja"),
            "{% for m in messages %}[{{ m.role }}]{{ m.content }}<|end|>{% endfor %}"
                + "{% if add_generation_prompt %}[assistant]{% endif %}"
        );
        string texts = At("texts.jsonl");
        File.WriteAllText(texts, """{"prompt":"[user]Hi<|end|>[assistant]","chosen":"yes","rejected":"no!"}""");
        string lists = At("lists.jsonl");
        const string Question = """{"role":"user","content":"Hi"}""";
        const string Yes = """{"role":"assistant","content":"yes"}""";
        const string No = """{"role":"assistant","content":"no!"}""";
        File.WriteAllLines(
            lists,
            [
                $$"""{"prompt":[{{Question}}],"chosen":[{{Yes}}],"rejected":[{{No}}]}""",
                $$"""{"chosen":[{{Question}},{{Yes}}],"rejected":[{{Question}},{{No}}]}""",
            ]
        );
        Assert.That(Loss(lists), Is.EqualTo(Loss(texts)).Within(1e-6));

        double Loss(string data) =>
            CommandLine
                .Run("eval", "--model", Model, "--data", data, "--loss", "simpo", "--device", "cpu", "--json")
                .Succeeded()
                .Json.GetProperty("loss")
                .GetDouble();
    }

    /// <summary>The sides of all pairs as single answers, in the order in which KL takes the sides.</summary>
    [Test]
    public void SingleAnswersWithLabelsGiveWhatPairsGive()
    {
        string start = At("start");
        CommandLine.Run(Finetune("--out", start, "--steps", "6", "--lr", "0.02", "--adapter", "lora")).Succeeded();
        WritePairs();
        WriteAnswers();
        string[] evaluate = ["eval", "--model", Model, "--adapter", start, "--device", "cpu", "--json"];
        evaluate = [.. evaluate, "--loss", "kto"];
        JsonElement pairs = CommandLine.Run([.. evaluate, "--data", PairFile, "--batch", "4"]).Succeeded().Json;
        JsonElement single = CommandLine.Run([.. evaluate, "--data", AnswerFile, "--batch", "8"]).Succeeded().Json;
        Assert.That(single.GetProperty("records").GetInt32(), Is.EqualTo(8));
        foreach (string value in new[] { "loss", "chosen_reward", "rejected_reward" })
        {
            double expected = pairs.GetProperty(value).GetDouble();
            Assert.That(single.GetProperty(value).GetDouble(), Is.EqualTo(expected).Within(1e-6), value);
        }

        string[] train = [.. Finetune("--data", AnswerFile), "--loss", "kto", "--steps", "4", "--batch", "3", "--json"];
        JsonElement run = CommandLine.Run(train).Succeeded().Json;
        Assert.That(run.GetProperty("steps").GetInt32(), Is.EqualTo(4));
    }

    [Test]
    public void LabelsAreForLossesThatJudgeSingleAnswers()
    {
        WritePairs();
        WriteAnswers();
        string[] run = Finetune("--data", AnswerFile);
        Refused(run, "answers.jsonl, line 1: an answer with a label", "--loss kto", "--format prompt-completion");
        Refused([.. run, "--loss", "dpo"], "answers.jsonl, line 1: chosen missing or null");
        Refused([.. run, "--loss", "dpo", "--format", "labelled"], "line 1: no pair, expected prompt, chosen");
        CommandLine.Run([.. run, "--out", At("texts"), "--format", "prompt-completion", "--steps", "1"]).Succeeded();
        File.AppendAllLines(AnswerFile, File.ReadLines(PairFile).Take(1));
        Refused([.. run, "--loss", "kto"], "answers.jsonl, line 9: an answer with a label beside pairs");
        string[] texts = [.. Finetune(), "--loss", "kto"];
        Refused(texts, "data.jsonl, line 1: neither a pair nor an answer with a label");
    }

    [Test]
    public void BadRecordsAreNamedWithTheirLine()
    {
        string[] run = [.. Finetune(), "--loss", "dpo"];
        Refused(run, "data.jsonl, line 1: chosen missing or null, expected prompt, chosen and rejected (preference)");
        WritePairs();
        File.AppendAllText(PairFile, """{"prompt":"a","chosen":"b"}""");
        string[] pairs = [.. run, "--data", PairFile];
        Refused(pairs, "pairs.jsonl, line 5: rejected missing or null, expected prompt, chosen and rejected");
        Refused(
            Finetune("--data", PairFile),
            "pairs.jsonl, line 5: rejected missing or null, expected prompt, chosen and rejected"
        );
        WritePairs();
        Refused(Finetune("--data", PairFile), "pairs.jsonl, line 1: a pair (chosen and rejected), expected another");
        Refused([.. pairs, "--eval", Data], "data.jsonl, line 1: chosen missing or null");
        Refused([.. pairs, "--format", "prompt-completion"], "pairs.jsonl, line 1: completion missing or null");
        string[] evaluate = ["eval", "--model", Model, "--device", "cpu", "--data"];
        Refused([.. evaluate, PairFile], "line 1: a pair (chosen and rejected), expected another record");
        Refused([.. evaluate, Data, "--loss", "orpo"], "line 1: chosen missing or null");
        Refused([.. evaluate, Data, "--loss", "orpo", "--format", "prompt-completion"], "line 1: no pair, expected");
    }

    [Test]
    public void OptionsThatDoNotGoTogetherAreRefused()
    {
        WritePairs();
        string[] run = [.. Finetune("--data", PairFile), "--loss", "dpo"];
        Refused([.. run, "--graph"], "--loss dpo computes on the host in the middle of a step", "expected no --graph");
        Refused([.. run, "--packing"], "--loss dpo takes pairs", "expected no --packing");
        Refused([.. run, "--train-on", "all"], "--train-on \"all\": of pairs the answers count");
        Refused([.. run, "--beta", "0"], "--beta \"0\": expected a number above 0");
        Refused([.. run, "--beta", "1", "--set", "loss.beta=2"], "--beta and --set loss.beta: expected one of the two");
        Refused([.. run, "--set", "loss.gamma=1"], "expected one of the settings of dpo: beta, label-smoothing");
        Refused([.. run, "--set", "loss.label-smoothing=0.6"], "label-smoothing=0.6: expected a number from 0 to 0.5");
        Refused([.. run, "--loss", "ppo"], "--loss \"ppo\": expected one of cross-entropy, dpo, kto, orpo, simpo");
        Refused([.. Finetune(), "--beta", "0.1"], "--beta \"0.1\": cross-entropy does not read it");
        Refused([.. Finetune(), "--set", "loss.gamma=1"], "cross-entropy has no settings of its own");
        string[] pretrain = ["pretrain", "--model", Model, "--data", PairFile, "--out", Out, "--device", "cpu"];
        Refused([.. pretrain, "--loss", "kto"], "--loss kto compares with the base, which is lost where all weights");
        Refused([.. pretrain, "--set", "gamma=1"], "expected a name that begins with optimizer. or loss.");
        CommandLine.Run([.. pretrain, "--loss", "simpo", "--steps", "1"]).Succeeded();
        string[] evaluate = ["eval", "--model", Model, "--device", "cpu", "--data", PairFile, "--loss", "dpo"];
        Refused([.. evaluate, "--packing"], "--loss dpo takes pairs", "expected no --packing");
        Refused([.. evaluate, "--set", "beta=1"], "expected a name that begins with loss.");
    }

    [Test]
    public void TheLossesAreListed()
    {
        JsonElement list = CommandLine.Run("methods", "--losses", "--json").Succeeded().Json.GetProperty("losses");
        Assert.That(
            list.EnumerateArray().Select(loss => loss.GetProperty("name").GetString()),
            Is.EqualTo(new[] { "cross-entropy", "dpo", "kto", "orpo", "simpo" })
        );
        Assert.That(
            list.EnumerateArray().Select(loss => loss.GetProperty("takes_pairs").GetBoolean()),
            Is.EqualTo(new[] { false, true, true, true, true })
        );
        string one = CommandLine.Run("methods", "--losses", "simpo").Succeeded().Output;
        Assert.That(one, Does.Contain("gamma").And.Contain("0.5").And.Contain("2405.14734"));
        Refused(["methods", "--losses", "--rank", "4"], "--rank \"4\": --losses does not read it");
    }

    private string AnswerFile => At("answers.jsonl");

    private void WriteAnswers()
    {
        IEnumerable<(string Prompt, string Text, bool Label)> good = Pairs.Select(pair =>
            (pair.Prompt, Text: pair.Chosen, Label: true)
        );
        IEnumerable<(string Prompt, string Text, bool Label)> bad = Pairs.Select(pair =>
            (pair.Prompt, Text: pair.Rejected, Label: false)
        );
        File.WriteAllLines(
            AnswerFile,
            good.Concat(bad)
                .Select(answer =>
                    JsonSerializer.Serialize(
                        new
                        {
                            prompt = answer.Prompt,
                            completion = answer.Text,
                            label = answer.Label,
                        }
                    )
                )
        );
    }

    private void WritePairs() =>
        File.WriteAllLines(
            PairFile,
            Pairs.Select(pair =>
                JsonSerializer.Serialize(
                    new
                    {
                        prompt = pair.Prompt,
                        chosen = pair.Chosen,
                        rejected = pair.Rejected,
                    }
                )
            )
        );

    /// <summary>Computes what a loss says of the pairs, from the losses of single records.</summary>
    private Expected Expect(string name, string[] settings, string adapter)
    {
        double Setting(string setting, double initial)
        {
            string found =
                settings.FirstOrDefault(word => word.StartsWith($"loss.{setting}=", StringComparison.Ordinal))
                ?? (setting == "beta" && settings is ["--beta", ..] ? settings[1] : "");
            return found == ""
                ? initial
                : double.Parse(found[(found.IndexOf('=') + 1)..], CultureInfo.InvariantCulture);
        }

        double beta = Setting("beta", name == "simpo" ? 2 : 0.1);
        using var folder = ModelFolder.Open(Model);
        var tokenizer = BpeTokenizer.Load(Model);
        using var device = Device.Cpu();
        using var model = CausalLanguageModel.Load(folder, device, DType.F32);
        (string Prompt, string Answer)[] sides =
        [
            .. Pairs.Select(pair => (pair.Prompt, pair.Chosen)),
            .. Pairs.Select(pair => (pair.Prompt, pair.Rejected)),
        ];
        (string, string)[] mismatched =
        [
            .. sides.Select((side, i) => (side.Prompt, sides[(i + sides.Length - 1) % sides.Length].Answer)),
        ];
        double[] untrained = [.. sides.Select(Sum)];
        double[] mismatchedUntrained = [.. mismatched.Select(Sum)];
        using var attached = Adapter.Load(model, adapter);
        double[] trained = [.. sides.Select(Sum)];
        double[] means = [.. sides.Select(side => -Measure(side).Loss)];
        double divergence = Math.Max(0, mismatched.Select(Sum).Zip(mismatchedUntrained, (x, y) => x - y).Average());
        double[] gains = [.. trained.Zip(untrained, (x, y) => x - y)];
        int count = Pairs.Length;
        double[] losses =
        [
            .. Enumerable.Range(0, count).Select(i => LossOf(gains[i], gains[count + i], means[i], means[count + i])),
        ];
        double[] rewards = [.. (name is "dpo" or "kto" ? gains : means).Select(value => beta * value)];
        return new Expected(
            losses.Average(),
            rewards[..count].Average(),
            rewards[count..].Average(),
            Enumerable.Range(0, count).Average(i => rewards[i] > rewards[count + i] ? 1.0 : 0.0)
        );

        double LossOf(double gain, double otherGain, double mean, double otherMean)
        {
            double smoothing = Setting("label-smoothing", 0);
            return name switch
            {
                "dpo" => -(1 - smoothing) * Math.Log(Sigma(beta * (gain - otherGain)))
                    - smoothing * Math.Log(Sigma(beta * (otherGain - gain))),
                "simpo" => -Math.Log(Sigma(beta * (mean - otherMean) - Setting("gamma", 0.5))),
                "orpo" => -mean - beta * Math.Log(Sigma(Logit(Math.Exp(mean)) - Logit(Math.Exp(otherMean)))),
                _ => (
                    1
                    - Sigma(beta * (gain - divergence))
                    + Setting("undesirable-weight", 1) * (1 - Sigma(beta * (divergence - otherGain)))
                ) / 2,
            };
        }

        double Sum((string Prompt, string Answer) side)
        {
            EvaluationResult result = Measure(side);
            return -result.Loss * result.Tokens;
        }

        EvaluationResult Measure((string Prompt, string Answer) side)
        {
            EncodedRecord record = RecordEncoder.Encode(
                TrainingRecord.Of(side.Prompt, side.Answer),
                tokenizer,
                [TinyModel.End],
                512
            );
            return Evaluator.Evaluate(model, [record]);
        }
    }

    private static double Sigma(double x) => 1 / (1 + Math.Exp(-x));

    private static double Logit(double p) => Math.Log(p / (1 - p));

    private sealed record Expected(double Loss, double ChosenReward, double RejectedReward, double Accuracy);
}
