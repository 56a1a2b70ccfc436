using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Tests `finetune` and `pretrain`: what they write and print, and that equal runs give equal bytes.</summary>
public sealed class TrainingCommandTests : WorkFolder
{
    private static readonly string[] FinetuneKeys =
    [
        "device",
        "eval_loss",
        "eval_loss_before",
        "exact_match",
        "exact_match_before",
        "final_loss",
        "optimizer",
        "optimizer_settings",
        "peak_memory_bytes",
        "seconds",
        "skipped_steps",
        "steps",
        "tokens_per_second",
        "total_parameters",
        "trainable_parameters",
        "variants",
    ];

    [Test]
    public void TheOptimizerIsRecordedAndARunKeepsIt()
    {
        string output = At("sgd");
        string[] run =
        [
            "finetune",
            "--model",
            Model,
            "--data",
            Data,
            "--device",
            "cpu",
            "--target",
            "q_proj",
            "--out",
            output,
            "--resume",
        ];
        string[] chosen = ["--optimizer", "sgd", "--set", "optimizer.momentum=0.5"];
        JsonElement json = CommandLine.Run([.. run, .. chosen, "--steps", "2", "--json"]).Succeeded().Json;
        Assert.That(json.GetProperty("optimizer").GetString(), Is.EqualTo("sgd"));
        Assert.That(json.GetProperty("optimizer_settings").GetProperty("momentum").GetDouble(), Is.EqualTo(0.5));
        string report = File.ReadAllText(Path.Combine(output, "report.html"));
        Assert.That(report, Does.Contain("sgd: m ← μm + g").And.Not.Contain("beta2"));
        CommandLine.Run([.. run, .. chosen, "--steps", "3"]).Succeeded();
        Refused([.. run, "--optimizer", "lion", "--steps", "3"], "--optimizer sgd, not lion");
        Refused([.. run, .. chosen, "--beta2", "0.9"], "--beta2 \"0.9\": sgd does not read it");
        Refused([.. run, "--optimizer", "sgd", "--set", "optimizer.rate=1"], "expected one of the settings of sgd");
        Refused([.. run, "--optimizer", "sdg"], "--optimizer \"sdg\": expected one of ");
        Refused([.. run, "--set", "optimizer.momentum=1"], "adamw has no settings of its own");
    }

    [Test]
    public void TheTrainingStepIsDescribedInReportAndLog()
    {
        string output = At("steps");
        string[] step = ["--clip-groups", "q_proj=0.5", "--rmm", "0.5", "--flop-budget", "0.6", "--flop-interval", "2"];
        CommandLine
            .Run([
                "finetune",
                "--model",
                Model,
                "--data",
                Data,
                "--device",
                "cpu",
                "--target",
                "q_proj,v_proj",
                "--steps",
                "3",
                "--out",
                output,
                .. step,
            ])
            .Succeeded();
        string report = File.ReadAllText(Path.Combine(output, "report.html"));
        Assert.That(report, Does.Contain("q_proj=0.5").And.Contain("rmm").And.Contain("0.6 every 2 steps"));
        JsonElement[] steps =
        [
            .. File.ReadLines(Path.Combine(output, "train_log.jsonl"))
                .Select(line => JsonDocument.Parse(line).RootElement),
        ];
        Assert.That(
            steps[0].GetProperty("group_norms").EnumerateObject().Select(group => group.Name),
            Is.EqualTo(new[] { "q_proj", "others" })
        );
        int[] trained = [.. steps.Select(one => one.GetProperty("trained_tensors").GetInt32())];
        Assert.That(trained[1], Is.LessThan(trained[0]));
        Assert.That(trained[2], Is.EqualTo(trained[0]));
    }

    [Test]
    public void ATaskAfterAnotherTakesItsAdapterAlong()
    {
        string first = At("first");
        string second = At("second");
        string[] run =
        [
            "finetune",
            "--model",
            Model,
            "--data",
            Data,
            "--device",
            "cpu",
            "--steps",
            "2",
            "--target",
            "q_proj",
        ];
        CommandLine.Run([.. run, "--out", first, "--adapter", "speclora", "--rank", "3", "--top-k", "2"]).Succeeded();
        Refused(
            [.. run, "--out", second, "--adapter", "lora", "--previous-adapter", first],
            "lora takes no adapter of the tasks before",
            "o-lora"
        );
        Refused([.. run, "--out", second, "--adapter", "o-lora", "--previous-adapter", At("nowhere")], "nowhere");
        CommandLine
            .Run([.. run, "--out", second, "--adapter", "o-lora", "--rank", "2", "--previous-adapter", first])
            .Succeeded();
        Directory.Delete(first, recursive: true);
        CommandLine.Run("eval", "--model", Model, "--adapter", second, "--data", Data, "--device", "cpu").Succeeded();
    }

    [Test]
    public void FinetuneWritesItsFolderAndOneJsonObject()
    {
        JsonElement result = CommandLine
            .Run(Finetune("--steps", "6", "--eval", Data, "--eval-every", "3", "--json"))
            .Succeeded()
            .Json;
        Assert.That(
            result.EnumerateObject().Select(property => property.Name).Order(StringComparer.Ordinal),
            Is.EqualTo(FinetuneKeys)
        );
        Assert.That(result.GetProperty("steps").GetInt32(), Is.EqualTo(6));
        Assert.That(
            result.GetProperty("eval_loss").GetDouble(),
            Is.Not.EqualTo(result.GetProperty("eval_loss_before").GetDouble())
        );
        Assert.That(result.GetProperty("peak_memory_bytes").GetInt64(), Is.Positive);
        Assert.That(
            Directory.GetFiles(Out).Select(Path.GetFileName).Order(StringComparer.Ordinal),
            Is.EqualTo(new[] { "adapter_config.json", "adapter_model.safetensors", "report.html", "train_log.jsonl" })
        );
        JsonElement[] log = [.. Log(Out)];
        Assert.That(log.Select(line => line.GetProperty("step").GetInt32()), Is.EqualTo(Enumerable.Range(1, 6)));
        foreach (string key in new[] { "loss", "lr", "grad_norm", "tokens", "tokens_per_second" })
            Assert.That(log.All(line => double.IsFinite(line.GetProperty(key).GetDouble())), key);
        string report = File.ReadAllText(Path.Combine(Out, "report.html"));
        Assert.That(report, Does.Contain("held-out records").And.Contain("speclora"));
    }

    [Test]
    public void FinetuneForPeopleShowsStepsAndGain()
    {
        string output = CommandLine.Run(Finetune("--eval", Data, "--log-every", "1")).Succeeded().Output;
        Assert.That(
            output,
            Does.Contain("training 1/2  loss ")
                .And.Contain("training 2/2  loss ")
                .And.Contain("exact match")
                .And.Contain("of ")
                .And.Contain(Out)
        );
    }

    [TestCase("speclora", "--eval", "--dropout", "0.1")]
    [TestCase("lora", "--graph", "--ema", "0.9")]
    [TestCase("eva")]
    [TestCase("adalora", "--dtype", "bf16", "--set", "interval=2")]
    public void TheSameRunGivesTheSameFilesWhateverTheThreads(string adapter, params string[] more)
    {
        if (more.Contains("--eval"))
            more = ["--eval", Data, "--eval-every", "2", .. more[1..]];
        string[] arguments =
        [
            "finetune",
            "--model",
            Model,
            "--data",
            Data,
            "--steps",
            "5",
            "--batch",
            "3",
            "--accumulate",
            "2",
            "--lr",
            "1e-2",
            "--save-every",
            "2",
            "--adapter",
            adapter,
            "--device",
            "cpu",
            "--seed",
            "11",
            .. more,
        ];
        string[] folders =
        [
            .. ((string[])["1", "1", "2", "3"]).Select(
                (threads, i) =>
                {
                    string folder = At($"run-{i}");
                    CommandLine.Run([.. arguments, "--out", folder, "--threads", threads]).Succeeded();
                    return folder;
                }
            ),
        ];
        foreach (string folder in folders[1..])
            RunFiles.AssertSame(folder, folders[0]);
        Assert.That(Losses(folders[0])[^1], Is.LessThan(Losses(folders[0])[0]));
    }

    [Test]
    public void PretrainingIsTheSameWhateverTheThreads()
    {
        TinyModel.WriteConfigAndTokenizer(At("config"));
        foreach (string threads in (string[])["1", "2", "3"])
        {
            CommandLine
                .Run(
                    "pretrain",
                    "--model",
                    At("config"),
                    "--data",
                    Data,
                    "--out",
                    At(threads),
                    "--steps",
                    "3",
                    "--lr",
                    "1e-2",
                    "--device",
                    "cpu",
                    "--threads",
                    threads
                )
                .Succeeded();
        }

        RunFiles.AssertSame(At("2"), At("1"));
        RunFiles.AssertSame(At("3"), At("1"));
    }

    [Test]
    public void AGraphChangesNoLoss()
    {
        string plain = At("plain");
        string graph = At("graph");
        string[] arguments =
        [
            "finetune",
            "--model",
            Model,
            "--data",
            Data,
            "--steps",
            "5",
            "--batch",
            "3",
            "--accumulate",
            "2",
            "--lr",
            "1e-2",
            "--device",
            "cpu",
            "--seed",
            "11",
        ];
        CommandLine.Run([.. arguments, "--out", plain]).Succeeded();
        CommandLine.Run([.. arguments, "--out", graph, "--graph"]).Succeeded();
        Assert.That(
            Losses(graph),
            Is.EqualTo(Losses(plain)).Within(1e-3).Percent,
            "padding to the longest record costs rounding at most"
        );
        Assert.That(
            Log(graph).Select(line => line.GetProperty("tokens").GetInt64()),
            Is.EqualTo(Log(plain).Select(line => line.GetProperty("tokens").GetInt64()))
        );
    }

    [Test]
    public void TheVariantsThatRanAreRecorded()
    {
        JsonElement result = CommandLine.RunWith("SPECTRAL_LOWRANK", "portable", Finetune("--json")).Succeeded().Json;
        const string Choice = "composed-b (portable does not apply: it is BF16 only)";
        Assert.That(
            result.GetProperty("variants").EnumerateArray().Select(use => use.GetString()),
            Is.SupersetOf(
                new[] { $"low_rank_linear forward f32: {Choice}", $"low_rank_linear input_gradient f32: {Choice}" }
            )
        );
        Assert.That(File.ReadAllText(Path.Combine(Out, "report.html")), Does.Contain(Choice));
    }

    [Test]
    public void AugmentedLayersTrainAsOthersDo([Values("f32", "bf16")] string type)
    {
        string composed = At("composed");
        CommandLine.Run(Finetune("--dtype", type, "--out", composed)).Succeeded();
        JsonElement result = CommandLine
            .RunWith("SPECTRAL_LOWRANK", "augmented", Finetune("--dtype", type, "--json"))
            .Succeeded()
            .Json;
        Assert.That(
            result.GetProperty("variants").EnumerateArray().Select(use => use.GetString()),
            Is.SupersetOf(
                new[]
                {
                    $"low_rank_linear forward {type}: augmented",
                    $"low_rank_linear input_gradient {type}: augmented",
                }
            )
        );
        Assert.That(
            Losses(Out),
            Is.EqualTo(Losses(composed)).Within(type == "f32" ? 1e-3 : 3).Percent,
            "sums in another order"
        );
        JsonElement dropped = CommandLine
            .RunWith(
                "SPECTRAL_LOWRANK",
                "augmented",
                Finetune("--dtype", type, "--dropout", "0.1", "--overwrite", "--json")
            )
            .Succeeded()
            .Json;
        Assert.That(
            dropped.GetProperty("variants").EnumerateArray().Select(use => use.GetString()),
            Has.Some.EqualTo(
                $"low_rank_linear forward {type}: composed-b (augmented does not apply: dropout masks a "
                    + "part of its sums)"
            )
        );
    }

    [Test]
    public void TuningKeepsItsChoicesInTheCacheFolder()
    {
        string[] arguments = ["--tune", "--dtype", "bf16", "--overwrite"];
        CommandLine.RunWith("XDG_CACHE_HOME", At("cache"), Finetune(arguments)).Succeeded();
        string file = Directory.GetFiles(At("cache/spectral")).Single();
        Assert.That(File.ReadAllText(file), Does.Contain("low_rank_linear forward bf16"));
        File.WriteAllText(file, "damaged");
        Assert.That(
            CommandLine.RunWith("XDG_CACHE_HOME", At("cache"), Finetune(arguments)).Succeeded().Error,
            Does.StartWith($"warning: {file}").And.Contain("will be replaced")
        );
        Assert.That(File.ReadAllText(file), Does.Contain("low_rank_linear forward bf16"));
    }

    [Test]
    public void DropoutIsKeptInTheConfigAndHoldsForAnAdapterToStartFrom()
    {
        CommandLine.Run(Finetune("--dropout", "0.125")).Succeeded();
        double[] dropped = Losses(Out);
        Assert.That(
            File.ReadAllText(Path.Combine(Out, "adapter_config.json")),
            Does.Contain("\"lora_dropout\": 0.125")
        );
        Refused(
            [
                "finetune",
                "--model",
                Model,
                "--data",
                Data,
                "--out",
                At("more"),
                "--init-adapter",
                Out,
                "--dropout",
                "0.5",
                "--device",
                "cpu",
            ],
            "--dropout",
            "0.125"
        );
        CommandLine.Run(Finetune("--overwrite")).Succeeded();
        Assert.That(Losses(Out)[1], Is.Not.EqualTo(dropped[1]));
    }

    [Test]
    public void LastOfARepeatedOptionCounts() =>
        Assert.That(
            CommandLine
                .Run(Finetune("--steps", "3", "--steps", "4", "--json"))
                .Succeeded()
                .Json.GetProperty("steps")
                .GetInt32(),
            Is.EqualTo(4)
        );

    [Test]
    public void SeedChangesTheRun()
    {
        CommandLine.Run(Finetune("--seed", "1")).Succeeded();
        double[] losses = Losses(Out);
        CommandLine.Run(Finetune("--seed", "2", "--overwrite")).Succeeded();
        Assert.That(Losses(Out), Is.Not.EqualTo(losses));
    }

    [Test]
    public void PretrainStartsFromNothingAndGoesOn()
    {
        string config = At("config");
        TinyModel.WriteConfigAndTokenizer(config);
        string[] arguments =
        [
            "pretrain",
            "--data",
            Data,
            "--steps",
            "4",
            "--batch",
            "4",
            "--lr",
            "1e-2",
            "--device",
            "cpu",
            "--json",
        ];
        JsonElement result = CommandLine.Run([.. arguments, "--model", config, "--out", Out]).Succeeded().Json;
        Assert.That(result.GetProperty("out").GetString(), Is.EqualTo(Out));
        Assert.That(result.GetProperty("tensors").GetInt32(), Is.EqualTo(TinyModel.Tensors().Count()));
        Assert.That(result.GetProperty("seconds").GetDouble(), Is.Positive);
        Assert.That(
            new[] { "config.json", "tokenizer.json", "model.safetensors", "train_log.jsonl", "report.html" }.Select(
                name => File.Exists(Path.Combine(Out, name))
            ),
            Has.All.True
        );
        CommandLine.Run([.. arguments, "--model", Out, "--out", At("further")]).Succeeded();
        Assert.That(Losses(At("further"))[0], Is.LessThan(Losses(Out)[0]));
    }

    [Test]
    public void CutRecordsAreCountedInAWarning()
    {
        File.AppendAllText(Data, "{\"prompt\":\"" + new string('x', 100) + "\",\"completion\":\"y\"}\n");
        Outcome outcome = CommandLine.Run(Finetune("--max-length", "40", "--json")).Succeeded();
        Assert.That(outcome.Error, Does.Contain("1 of 25 records").And.Contain("40 tokens"));
        Assert.That(outcome.Json.GetProperty("steps").GetInt32(), Is.EqualTo(2));
    }

    [Test]
    public void DivergenceFailsWithCode1AndKeepsNothingUnsaved() =>
        CommandLine
            .Run(Finetune("--lr", "1e30", "--steps", "50", "--grad-clip", "0", "--max-skipped", "3"))
            .Refused(1, "step 4: ", "2 steps before", "last finite loss", "learning rate");

    [Test]
    public void OverwriteKeepsForeignFiles()
    {
        Directory.CreateDirectory(Out);
        File.WriteAllText(Path.Combine(Out, "notes.txt"), "mine");
        CommandLine.Run(Finetune("--overwrite")).Succeeded();
        Assert.That(File.ReadAllText(Path.Combine(Out, "notes.txt")), Is.EqualTo("mine"));
        Assert.That(File.Exists(Path.Combine(Out, "adapter_model.safetensors")));
    }

    private static IEnumerable<JsonElement> Log(string folder) =>
        File.ReadLines(Path.Combine(folder, "train_log.jsonl"))
            .Select(line => JsonSerializer.Deserialize<JsonElement>(line));

    private static double[] Losses(string folder) =>
        [.. Log(folder).Select(line => line.GetProperty("loss").GetDouble())];

    /// <summary>24 records in steps of 2 × 5: 10, 10 and 4, three times; or 10 and 10.</summary>
    [Test]
    public void EpochsEndWithAShortStepOrDropIt()
    {
        int Steps(params string[] more)
        {
            string[] run = Finetune([
                "--epochs",
                "3",
                "--batch",
                "5",
                "--accumulate",
                "2",
                "--json",
                "--overwrite",
                .. more,
            ]);
            return CommandLine.Run(run).Succeeded().Json.GetProperty("steps").GetInt32();
        }
        Assert.That(Steps(), Is.EqualTo(9));
        Assert.That(Steps("--drop-last"), Is.EqualTo(6));
        Refused(
            Finetune("--epochs", "1", "--batch", "25", "--drop-last", "--out", At("none")),
            "--drop-last",
            "24 records",
            "25"
        );
        Refused(
            Finetune("--epochs", "1", "--batch", "5", "--warmup", "6", "--out", At("none")),
            "--warmup 6",
            "5 steps"
        );
    }
}
