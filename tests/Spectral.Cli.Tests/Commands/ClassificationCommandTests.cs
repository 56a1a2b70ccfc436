using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Questions with choices, and models that classify, by finetune, eval, merge and what refuses them.</summary>
public sealed class ClassificationCommandTests : WorkFolder
{
    private string Bert => At("bert");

    private string Texts => At("texts.jsonl");

    [SetUp]
    public void WriteEncoder()
    {
        TinyEncoder.Create(Bert);
        TinyEncoder.WriteData(Texts, 36);
    }

    /// <summary>The labels follow from a word, so that an adapter and the head learn them all.</summary>
    [Test]
    public void AnEncoderLearnsLabels()
    {
        JsonElement run = Train().Json;
        Assert.Multiple(() =>
        {
            Assert.That(run.GetProperty("accuracy_before").GetDouble(), Is.LessThan(0.9));
            Assert.That(run.GetProperty("accuracy").GetDouble(), Is.GreaterThan(0.95));
            Assert.That(run.GetProperty("f1").GetDouble(), Is.GreaterThan(0.95));
            Assert.That(run.GetProperty("matthews_correlation").GetDouble(), Is.GreaterThan(0.9));
        });
        JsonElement config = JsonDocument.Parse(File.ReadAllText(Path.Combine(Out, "adapter_config.json"))).RootElement;
        Assert.That(config.GetProperty("task_type").GetString(), Is.EqualTo("SEQ_CLS"));
        Assert.That(Names(config.GetProperty("modules_to_save")), Is.EqualTo(new[] { "classifier" }));
        Assert.That(Names(config.GetProperty("target_modules")), Is.EqualTo(new[] { "query", "value" }));
        using (var file = SafetensorsFile.Open(Path.Combine(Out, "adapter_model.safetensors")))
        {
            Assert.That(
                file.Tensors.Keys,
                Is.SupersetOf(
                    new[]
                    {
                        "base_model.model.classifier.weight",
                        "base_model.model.classifier.bias",
                        "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight",
                        "base_model.model.bert.encoder.layer.1.attention.self.value.lora_B.weight",
                    }
                )
            );
        }

        JsonElement adapted = Eval("--adapter", Out);
        Assert.That(
            adapted.GetProperty("loss").GetDouble(),
            Is.EqualTo(run.GetProperty("eval_loss").GetDouble()).Within(1e-6)
        );
        Assert.That(adapted.GetProperty("perplexity").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(adapted.GetProperty("tokens").GetInt32(), Is.EqualTo(36));
        CommandLine
            .Run("merge", "--model", Bert, "--adapter", Out, "--out", At("merged"), "--device", "cpu")
            .Succeeded();
        JsonElement merged = Eval("--model", At("merged"));
        Assert.That(
            merged.GetProperty("loss").GetDouble(),
            Is.EqualTo(adapted.GetProperty("loss").GetDouble()).Within(1e-5)
        );
        string text = CommandLine
            .Run("eval", "--model", At("merged"), "--data", Texts, "--device", "cpu")
            .Succeeded()
            .Output;
        Assert.That(text, Does.Contain("matthews correlation").And.Contain("f1 macro").And.Contain("labels"));
    }

    [Test]
    public void AHeadThatIsMissingStartsAfresh()
    {
        string weights = Path.Combine(Bert, "model.safetensors");
        List<TensorToWrite> kept = [];
        using (var file = SafetensorsFile.Open(weights))
        {
            foreach (
                SafetensorsTensor tensor in file.Tensors.Values.Where(each =>
                    !each.Name.StartsWith("classifier", StringComparison.Ordinal)
                )
            )
            {
                float[] values = tensor.ToFloats();
                // As in a checkpoint of the encoder alone.
                string name = tensor.Name["bert.".Length..];
                kept.Add(TensorToWrite.Floats(name, StoredType.F32, [.. tensor.Shape], () => values));
            }
        }

        SafetensorsWriter.Write(weights, [.. kept]);
        Outcome run = Train();
        Assert.That(run.Error, Does.Contain("no classifier.weight, classifier.bias; the head starts afresh"));
        Assert.That(run.Json.GetProperty("accuracy").GetDouble(), Is.EqualTo(1));
        JsonElement adapted = Eval("--adapter", Out);
        Assert.That(adapted.GetProperty("accuracy").GetDouble(), Is.EqualTo(1));
        CommandLine
            .Run("merge", "--model", Bert, "--adapter", Out, "--out", At("merged"), "--device", "cpu")
            .Succeeded();
        Assert.That(Eval("--model", At("merged")).GetProperty("accuracy").GetDouble(), Is.EqualTo(1));
    }

    [Test]
    public void ANumberIsMeasuredByItsCorrelations()
    {
        TinyEncoder.Create(Bert, """{"id2label":{"0":"score"},"problem_type":"regression"}""");
        File.WriteAllLines(
            Texts,
            File.ReadAllLines(Texts).Select(line => line.Replace("\"good\"", "1.5").Replace("\"bad\"", "-0.5"))
        );
        JsonElement run = Train().Json;
        Assert.That(run.GetProperty("pearson").GetDouble(), Is.GreaterThan(0.95));
        Assert.That(run.GetProperty("spearman").GetDouble(), Is.GreaterThan(0.8));
        Assert.That(run.GetProperty("eval_loss").GetDouble(), Is.LessThan(0.1));
    }

    [Test]
    public void WordsHaveClassesToo()
    {
        TinyEncoder.Create(Bert, """{"architectures":["BertForTokenClassification"]}""");
        File.WriteAllText(
            Texts,
            """
            {"tokens":["sun","cold","warm"],"labels":["good","bad","good"]}
            {"tokens":["grey","rain"],"labels":[0,0]}
            {"tokens":["bright","grey","sun","rain"],"labels":[1,0,1,0]}
            """
        );
        JsonElement run = Train().Json;
        Assert.That(run.GetProperty("accuracy").GetDouble(), Is.EqualTo(1));
        JsonElement config = JsonDocument.Parse(File.ReadAllText(Path.Combine(Out, "adapter_config.json"))).RootElement;
        Assert.That(config.GetProperty("task_type").GetString(), Is.EqualTo("TOKEN_CLS"));
        Assert.That(Eval("--adapter", Out).GetProperty("tokens").GetInt32(), Is.EqualTo(9));
    }

    [Test]
    public void WhatNeedsTokensRefusesAClassifier()
    {
        const string Says = "the model gives classes of texts, expected one that predicts tokens";
        Refused(["generate", "--model", Bert, "--prompt", "sun", "--device", "cpu"], Says);
        Refused(["chat", "--model", Bert, "--device", "cpu"], Says);
        Refused(["plan", "--model", Bert, "--max-length", "8"], Says);
        Refused(["pretrain", "--model", Bert, "--data", Texts, "--out", Out, "--device", "cpu"], Says);
        Refused(["merge", "--model", Bert, "--format", "gguf", "--out", At("m.gguf"), "--device", "cpu"], "bert");
        Refused(
            ["eval", "--model", Bert, "--adapter", "a=a", "--adapter", "b=b", "--data", Texts, "--device", "cpu"],
            "several adapters, expected one"
        );
        Refused([.. TrainArguments(), "--loss", "dpo"], "no pairs of answers");
        Refused([.. TrainArguments(), "--adapter", "prompt-tuning"], "expected another --adapter");
        Refused([.. TrainArguments(), "--format", "text"], "--format text: expected classification");
        Refused(["eval", "--model", Bert, "--data", Data, "--device", "cpu"], "line 1: text missing or null");
    }

    [Test]
    public void QuestionsHaveAnAccuracy()
    {
        File.WriteAllText(
            Data,
            """
            {"prompt":"1","choices":["2","34"],"answer":0}
            {"prompt":"2","choices":["3","45"],"answer":"3"}
            {"prompt":"3","choices":["4","56"],"answer":0}
            """
        );
        JsonElement run = CommandLine
            .Run([.. Finetune("--steps", "30", "--lr", "0.03", "--eval", Data, "--adapter", "lora"), "--json"])
            .Succeeded()
            .Json;
        Assert.That(run.GetProperty("accuracy").GetDouble(), Is.EqualTo(1));
        Assert.That(run.TryGetProperty("accuracy_by_character_before", out _), Is.True);
        string text = CommandLine
            .Run("eval", "--model", Model, "--adapter", Out, "--data", Data, "--device", "cpu")
            .Succeeded()
            .Output;
        Assert.That(text, Does.Contain("accuracy by character"));
        File.WriteAllText(Data, """{"prompt":"1","choices":["2"],"answer":0}""");
        Refused(["eval", "--model", Model, "--data", Data, "--device", "cpu"], "line 1: choices has 1 of them");
    }

    private Outcome Train() => CommandLine.Run(TrainArguments()).Succeeded();

    private string[] TrainArguments() =>
        [
            "finetune",
            "--model",
            Bert,
            "--data",
            Texts,
            "--eval",
            Texts,
            "--out",
            Out,
            "--adapter",
            "lora",
            "--rank",
            "4",
            "--steps",
            "80",
            "--batch",
            "12",
            "--lr",
            "0.03",
            "--device",
            "cpu",
            "--json",
        ];

    private JsonElement Eval(params string[] more) =>
        CommandLine
            .Run([
                "eval",
                .. more.Contains("--model") ? [] : new[] { "--model", Bert },
                "--data",
                Texts,
                "--device",
                "cpu",
                "--json",
                .. more,
            ])
            .Succeeded()
            .Json;

    private static string[] Names(JsonElement list) =>
        [.. list.EnumerateArray().Select(item => item.GetString()!).Order(StringComparer.Ordinal)];
}
