using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>
/// Tests `compare`: what it writes and prints, that its runs are those of `finetune`, and how ranks are chosen.
/// </summary>
public sealed class CompareCommandTests : WorkFolder
{
    private static readonly string[] Keys =
    [
        "budget",
        "complete",
        "data",
        "device",
        "dtype",
        "eval",
        "methods",
        "model",
        "out",
        "seeds",
        "steps",
    ];

    private static readonly string[] MethodKeys =
    [
        "alpha",
        "diverged",
        "eval_loss",
        "exact_match",
        "mergeable",
        "method",
        "optimizer",
        "peak_memory_bytes",
        "rank",
        "runs",
        "step_seconds",
        "trainable_parameters",
    ];

    private string[] Compare(params string[] more) =>
        [
            "compare",
            "--model",
            Model,
            "--data",
            Data,
            "--eval",
            Data,
            "--out",
            Out,
            "--steps",
            "4",
            "--batch",
            "2",
            "--lr",
            "1e-2",
            "--device",
            "cpu",
            .. more.Contains("--methods") ? Array.Empty<string>() : ["--methods", "lora,speclora"],
            .. more.Contains("--seeds") ? Array.Empty<string>() : ["--seeds", "2"],
            .. more,
        ];

    [Test]
    public void EachMethodIsTrainedWithEachOptimizer()
    {
        string[] optimizers = ["--optimizers", "adamw,sgd", "--beta2", "0.9", "--set", "optimizer.momentum=0.5"];
        JsonElement result = CommandLine.Run(Compare([.. optimizers, "--seeds", "1", "--json"])).Succeeded().Json;
        JsonElement[] methods = [.. result.GetProperty("methods").EnumerateArray()];
        Assert.That(
            methods.Select(row =>
                $"{row.GetProperty("method").GetString()} {row.GetProperty("optimizer").GetString()}"
            ),
            Is.EqualTo(new[] { "lora adamw", "lora sgd", "speclora adamw", "speclora sgd" })
        );
        double[] losses = [.. methods.Select(row => row.GetProperty("eval_loss").GetProperty("mean").GetDouble())];
        Assert.That(losses, Is.Unique);
        JsonElement alone = CommandLine
            .Run(
                Finetune(
                    "--adapter",
                    "lora",
                    "--optimizer",
                    "sgd",
                    "--set",
                    "optimizer.momentum=0.5",
                    "--steps",
                    "4",
                    "--batch",
                    "2",
                    "--lr",
                    "1e-2",
                    "--eval",
                    Data,
                    "--overwrite",
                    "--json"
                )
            )
            .Succeeded()
            .Json;
        Assert.That(losses[1], Is.EqualTo(alone.GetProperty("eval_loss").GetDouble()), "as finetune trains it");
        Refused(Compare("--optimizers", "adamw,adamw"), "--optimizers \"adamw,adamw\": expected each name once");
        Refused(Compare("--optimizers", "sgd,lion", "--eps", "1"), "each of these optimizers does not read it");
    }

    [Test]
    public void OneTableOnePageAndALinePerRun()
    {
        JsonElement result = CommandLine.Run(Compare("--seed", "7", "--json")).Succeeded().Json;
        Assert.That(Names(result), Is.EqualTo(Keys));
        Assert.That(
            result.GetProperty("seeds").EnumerateArray().Select(seed => seed.GetInt32()),
            Is.EqualTo(new[] { 7, 8 })
        );
        Assert.That(result.GetProperty("complete").GetBoolean());
        JsonElement[] methods = [.. result.GetProperty("methods").EnumerateArray()];
        JsonElement[] runs = [.. Runs()];
        Assert.That(
            methods.Select(method => method.GetProperty("method").GetString()),
            Is.EqualTo(new[] { "lora", "speclora" })
        );
        foreach (JsonElement method in methods)
        {
            Assert.That(Names(method), Is.EqualTo(MethodKeys));
            Assert.That(method.GetProperty("runs").GetInt32(), Is.EqualTo(2));
            Assert.That(method.GetProperty("step_seconds").GetDouble(), Is.Positive);
            Assert.That(method.GetProperty("peak_memory_bytes").GetInt64(), Is.Positive);
            double[] losses =
            [
                .. runs.Where(run => run.GetProperty("method").GetString() == method.GetProperty("method").GetString())
                    .Select(run => run.GetProperty("eval_loss").GetDouble()),
            ];
            Assert.That(
                method
                    .GetProperty("eval_loss")
                    .GetProperty("values")
                    .EnumerateArray()
                    .Select(value => value.GetDouble()),
                Is.EqualTo(losses)
            );
            Assert.That(
                method.GetProperty("eval_loss").GetProperty("mean").GetDouble(),
                Is.EqualTo(losses.Average()).Within(1e-12)
            );
            Assert.That(
                method.GetProperty("eval_loss").GetProperty("deviation").GetDouble(),
                Is.EqualTo(Math.Abs(losses[0] - losses[1]) / Math.Sqrt(2)).Within(1e-12)
            );
        }
        Assert.That(
            runs.Select(run => (run.GetProperty("method").GetString(), run.GetProperty("seed").GetInt32())),
            Is.EqualTo(new[] { ("lora", 7), ("speclora", 7), ("lora", 8), ("speclora", 8) }),
            "a stopped comparison has all methods at as many seeds"
        );
        Assert.That(
            JsonElement.DeepEquals(
                JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(Path.Combine(Out, "compare.json"))),
                result
            )
        );
        Assert.That(
            Directory.GetFiles(Out).Select(Path.GetFileName),
            Is.EquivalentTo(new[] { "compare.html", "compare.json", "runs.jsonl" })
        );
        string page = File.ReadAllText(Path.Combine(Out, "compare.html"));
        Assert.That(page, Does.Contain("speclora").And.Contain("&#177;"));
    }

    [Test]
    public void EachRunIsTheOneThatFinetuneMakes()
    {
        CommandLine.Run(Compare("--eval-every", "2")).Succeeded();
        foreach (JsonElement run in Runs())
        {
            string method = run.GetProperty("method").GetString()!;
            string seed = run.GetProperty("seed").GetInt32().ToString();
            string alone = At($"{method}-{seed}");
            JsonElement result = CommandLine
                .Run(
                    "finetune",
                    "--model",
                    Model,
                    "--data",
                    Data,
                    "--eval",
                    Data,
                    "--out",
                    alone,
                    "--steps",
                    "4",
                    "--batch",
                    "2",
                    "--lr",
                    "1e-2",
                    "--device",
                    "cpu",
                    "--adapter",
                    method,
                    "--seed",
                    seed,
                    "--rank",
                    run.GetProperty("rank").GetInt32().ToString(),
                    "--alpha",
                    run.GetProperty("alpha").GetRawText(),
                    "--json"
                )
                .Succeeded()
                .Json;
            Assert.That(
                run.GetProperty("eval_loss").GetDouble(),
                Is.EqualTo(result.GetProperty("eval_loss").GetDouble()),
                "bit for bit: other runs on the same model leave no trace"
            );
            Assert.That(
                run.GetProperty("final_loss").GetDouble(),
                Is.EqualTo(result.GetProperty("final_loss").GetDouble())
            );
            Assert.That(
                run.GetProperty("trainable_parameters").GetInt64(),
                Is.EqualTo(result.GetProperty("trainable_parameters").GetInt64())
            );
            Assert.That(
                run.GetProperty("evaluations").EnumerateArray().Select(entry => entry.GetProperty("step").GetInt32()),
                Is.EqualTo(new[] { 0, 2, 4 })
            );
            Assert.That(run.GetProperty("losses").GetArrayLength(), Is.EqualTo(4));
        }
    }

    [Test]
    public void TheParameterBudgetIsThatOfTheFirstMethod()
    {
        // k_proj is [16, 32] in two layers: LoRA of rank 4 trains 2 · 4 · 48 = 384; SpecLoRA 2 · (16 + 48 r), closest
        // at r = 4 with 416 (r = 3: 320).
        JsonElement[] methods =
        [
            .. CommandLine
                .Run(
                    Compare(
                        "--budget",
                        "params",
                        "--rank",
                        "4",
                        "--alpha",
                        "8",
                        "--top-k",
                        "16",
                        "--target",
                        "k_proj",
                        "--seeds",
                        "1",
                        "--json"
                    )
                )
                .Succeeded()
                .Json.GetProperty("methods")
                .EnumerateArray(),
        ];
        Assert.That(
            methods.Select(method =>
                (method.GetProperty("rank").GetInt32(), method.GetProperty("trainable_parameters").GetInt64())
            ),
            Is.EqualTo(new[] { (4, 384L), (4, 416L) })
        );
        methods =
        [
            .. CommandLine
                .Run(
                    Compare(
                        "--overwrite",
                        "--methods",
                        "speclora,lora",
                        "--rank",
                        "0",
                        "--top-k",
                        "16",
                        "--target",
                        "k_proj",
                        "--seeds",
                        "1",
                        "--json"
                    )
                )
                .Succeeded()
                .Json.GetProperty("methods")
                .EnumerateArray(),
        ];
        // SpecLoRA without its low-rank part trains 32; LoRA cannot go below its rank 1, which trains 96.
        Assert.That(
            methods.Select(method =>
                (method.GetProperty("rank").GetInt32(), method.GetProperty("trainable_parameters").GetInt64())
            ),
            Is.EqualTo(new[] { (0, 32L), (1, 96L) })
        );
    }

    [Test]
    public void OfAllMethodsThoseThatTheOptionsDoNotSuitAreLeftOut()
    {
        Outcome outcome = CommandLine
            .Run(
                Compare(
                    "--methods",
                    "all",
                    "--rank",
                    "0",
                    "--budget",
                    "steps",
                    "--seeds",
                    "1",
                    "--steps",
                    "1",
                    "--target",
                    "k_proj",
                    "--json"
                )
            )
            .Succeeded();
        Assert.That(outcome.Error, Does.Contain("warning: lora is left out: rank 0"));
        Assert.That(
            outcome
                .Json.GetProperty("methods")
                .EnumerateArray()
                .Select(method => method.GetProperty("method").GetString()),
            Does.Contain("speclora").And.Not.Contain("lora")
        );
    }

    [Test]
    public void ForPeopleThereIsATable()
    {
        string output = CommandLine.Run(Compare("--seeds", "1")).Succeeded().Output;
        Assert.That(
            output,
            Does.Contain("lora: rank 8, ").And.Contain("speclora seed 0: eval loss ").And.Contain("(2 of 2)")
        );
        Assert.That(
            output,
            Does.Match(
                @"method +rank +trainable +eval loss +exact match +step time +peak memory +mergeable\n"
                    + @"lora +8 +[\d,]+ +\d\.\d{4} +\d+\.\d % +[\d.]+ ms +[\d.]+ MiB +yes\n"
            )
        );
    }

    [Test]
    public void AMethodThatDivergesIsAResult()
    {
        Outcome outcome = CommandLine
            .Run(Compare("--lr", "1e30", "--steps", "30", "--grad-clip", "0", "--json"))
            .Succeeded();
        foreach (JsonElement method in outcome.Json.GetProperty("methods").EnumerateArray())
        {
            Assert.That(method.GetProperty("diverged").GetInt32(), Is.EqualTo(2));
            Assert.That(method.GetProperty("eval_loss").ValueKind, Is.EqualTo(JsonValueKind.Null));
        }
        Assert.That(File.ReadAllText(Path.Combine(Out, "compare.html")), Does.Contain("2 of 2 runs diverged"));
    }

    [TestCase("--methods", "lora,loora", "speclora")]
    [TestCase("--methods", "", "speclora")]
    [TestCase("--methods", "lora,lora", "once")]
    [TestCase("--seeds", "0", "from 1 to")]
    [TestCase("--seeds", "x", "whole number")]
    [TestCase("--budget", "time", "params, steps")]
    public void ValueIsRefused(string option, string value, string expected) =>
        Refused(Compare(option, value), $"{option} \"{value}\"", expected);

    [Test]
    public void WhatSuitsNoMethodIsRefusedBeforeTraining()
    {
        Refused(Compare("--rank", "0"), "rank 0", "lora");
        Refused(Compare("--top-k", "17"), "top-k 17", "speclora");
        Refused(Compare("--target", "nothing"), "nothing", "q_proj");
        Refused([.. Compare().Where((_, index) => index is not (5 or 6))], "--eval");
        Directory.CreateDirectory(Out);
        File.WriteAllText(Path.Combine(Out, "precious.txt"), "mine");
        Refused(Compare(), "--out", "--overwrite");
    }

    private IEnumerable<JsonElement> Runs() =>
        File.ReadLines(Path.Combine(Out, "runs.jsonl")).Select(line => JsonSerializer.Deserialize<JsonElement>(line));

    private static IEnumerable<string> Names(JsonElement json) =>
        json.EnumerateObject().Select(property => property.Name).Order(StringComparer.Ordinal);
}
