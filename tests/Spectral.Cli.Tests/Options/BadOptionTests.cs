using System.Text.Json.Nodes;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Options;

/// <summary>
/// Tests that options out of range are refused in one line that names the option, the value and what was expected.
/// </summary>
public sealed class BadOptionTests : WorkFolder
{
    [TestCase("--rank-pattern", "q_proj")]
    [TestCase("--rank-pattern", "q_proj=-1")]
    [TestCase("--rank-pattern", "@no-such-file")]
    [TestCase("--rank-pattern", "q_proj=2,=3")]
    [TestCase("--alpha-pattern", "q_proj=x")]
    [TestCase("--bias", "some")]
    [TestCase("--rank-pattern", "q_proj=2,v_proj=3,q_proj=3")]
    [TestCase("--alpha-pattern", "q_proj=2,q_proj=2")]
    [TestCase("--rank", "-1")]
    [TestCase("--rank", "x")]
    [TestCase("--rank", "1.5")]
    [TestCase("--rank", "")]
    [TestCase("--rank", "99999999999")]
    [TestCase("--calibration-records", "0")]
    [TestCase("--top-k", "0")]
    [TestCase("--top-k", "-3")]
    [TestCase("--alpha", "NaN")]
    [TestCase("--alpha", "-1")]
    [TestCase("--dropout", "1")]
    [TestCase("--dropout", "-0.1")]
    [TestCase("--lr-ratio", "0")]
    [TestCase("--lr-ratio", "Infinity")]
    [TestCase("--lr", "NaN")]
    [TestCase("--lr", "Infinity")]
    [TestCase("--lr", "-Infinity")]
    [TestCase("--lr", "-0.1")]
    [TestCase("--lr", "1e999")]
    [TestCase("--lr", "0,1")]
    [TestCase("--lr", "fast")]
    [TestCase("--adapter", "loora")]
    [TestCase("--target", "q_proj,")]
    [TestCase("--target", "")]
    [TestCase("--format", "csv")]
    [TestCase("--schedule", "step")]
    [TestCase("--dtype", "f16")]
    [TestCase("--svd", "fast")]
    [TestCase("--device", "tpu")]
    [TestCase("--device", "cuda:x")]
    [TestCase("--device", "cuda:-1")]
    [TestCase("--threads", "0")]
    [TestCase("--threads", "-2")]
    [TestCase("--steps", "0")]
    [TestCase("--steps", "-1")]
    [TestCase("--batch", "0")]
    [TestCase("--accumulate", "0")]
    [TestCase("--max-length", "0")]
    [TestCase("--warmup", "-1")]
    [TestCase("--weight-decay", "NaN")]
    [TestCase("--weight-decay", "-1")]
    [TestCase("--beta1", "1")]
    [TestCase("--beta2", "1.5")]
    [TestCase("--eps", "0")]
    [TestCase("--grad-clip", "-1")]
    [TestCase("--rmm", "0")]
    [TestCase("--rmm", "1.5")]
    [TestCase("--flop-budget", "1")]
    [TestCase("--flop-interval", "1")]
    [TestCase("--seed", "-1")]
    [TestCase("--seed", "x")]
    [TestCase("--save-every", "0")]
    [TestCase("--log-every", "0")]
    [TestCase("--log", "xml")]
    [TestCase("--log", "csv,")]
    [TestCase("--log", "")]
    [TestCase("--serve", "0")]
    [TestCase("--serve", "65536")]
    [TestCase("--serve", "http")]
    [TestCase("--max-memory", "")]
    [TestCase("--max-memory", "0")]
    [TestCase("--max-memory", "-1GB")]
    [TestCase("--max-memory", "8 parsecs")]
    [TestCase("--max-memory", "1e300GB")]
    [TestCase("--eval-every", "0")]
    public void ValueIsRefused(string option, string value) =>
        Refused(
            ["finetune", "--model", Model, "--data", Data, "--out", Out, option, value],
            $"{option} \"{value}\"",
            "expected"
        );

    [Test]
    public void StepsAndEpochsExcludeEachOther() =>
        Refused(
            ["finetune", "--model", Model, "--data", Data, "--out", Out, "--steps", "3", "--epochs", "2"],
            "--steps",
            "--epochs"
        );

    [Test]
    public void OptionsOfTheTrainingStepAreChecked()
    {
        string[] run = ["finetune", "--model", Model, "--data", Data, "--out", Out];
        Refused([.. run, "--clip-groups", "q_proj"], "--clip-groups", "expected component, layer or REGEX=C entries");
        Refused(
            [.. run, "--clip-groups", "layer", "--grad-clip", "0"],
            "--clip-groups",
            "expected a gradient clip above 0"
        );
        Refused([.. run, "--clip-groups", "layer", "--optimizer", "mezo"], "--clip-groups", "mezo does not read it");
        Refused([.. run, "--flop-interval", "3"], "--flop-interval 3", "expected --flop-budget X with it");
        Refused([.. run, "--flop-budget", "0.5", "--graph"], "--flop-budget", "expected no --graph");
        Refused([.. run, "--rmm", "0.5", "--dropout", "0.1"], "expected no --dropout with --rmm");
        Refused([.. run, "--graph", "--optimizer", "aro"], "aro", "expected no --graph");
        Refused([.. run, "--checkpointing", "--optimizer", "mezo"], "mezo", "expected no --checkpointing");
        Refused([.. run, "--offload-optimizer", "--graph"], "--offload-optimizer", "expected no --graph");
    }

    [Test]
    public void AMethodThatFollowsTokensRefusesTheGraphAndOtherLayers()
    {
        Refused(Finetune("--adapter", "mola", "--graph"), "mola looks at the tokens", "expected no --graph");
        Refused(Finetune("--adapter", "mola", "--target", "lm_head"), "lm_head", "layers of the blocks");
        Refused(Finetune("--adapter", "alora"), "alora", "expected --invocation TEXT");
        Refused(Finetune("--adapter", "mola", "--invocation", "->"), "--invocation", "is not activated by a text");
    }

    [Test]
    public void AMethodThatActsBetweenStepsRefusesTheGraphAndAnAverage()
    {
        Refused(Finetune("--adapter", "cola", "--graph"), "cola", "expected no --graph");
        Refused(Finetune("--adapter", "cola", "--ema", "0.9"), "cola", "expected no --ema");
        Refused(
            [
                "compare",
                "--model",
                Model,
                "--data",
                Data,
                "--out",
                Out,
                "--eval",
                Data,
                "--methods",
                "lora,adalora",
                "--graph",
            ],
            "adalora",
            "expected no --graph"
        );
        Assert.That(Directory.Exists(Out), Is.False);
    }

    [Test]
    public void UnknownTargetIsNamed() => Refused(Finetune("--target", "q_proj,nothing"), "nothing", "q_proj");

    [TestCase("all-linear,lm_head")]
    [TestCase("q_proj,All-Linear")]
    public void AllLinearGoesAlone(string targets) =>
        Refused(Finetune("--target", targets), "expected all-linear alone", "q_proj");

    [Test]
    public void RankZeroIsForSpecLoraOnly() =>
        Refused(Finetune("--adapter", "lora", "--rank", "0"), "rank 0", "lora", "1");

    [Test]
    public void TopKBeyondTheSmallestTargetIsRefused() => Refused(Finetune("--top-k", "17"), "17", "16");

    [Test]
    public void EvalEveryNeedsEval() => Refused(Finetune("--eval-every", "2"), "--eval-every", "--eval");

    [TestCase("--model")]
    [TestCase("--data")]
    [TestCase("--out")]
    public void RequiredOptionIsNamed(string option)
    {
        List<string> arguments = [.. Finetune()];
        int at = arguments.IndexOf(option);
        arguments.RemoveRange(at, 2);
        Refused([.. arguments], option);
    }

    [Test]
    public void UnknownOptionIsNamed() => Refused(Finetune("--learning-rate", "1"), "--learning-rate");

    [Test]
    public void UnknownCommandIsNamed() => Refused(["finetun"], "finetun");

    [Test]
    public void AbsentGpuIsRefused()
    {
        Assume.That(
            CommandLine
                .Run("info", "--json")
                .Succeeded()
                .Json.GetProperty("devices")
                .EnumerateArray()
                .All(device => device.GetProperty("kind").GetString() == "cpu"),
            "this machine has a GPU"
        );
        Refused(["eval", "--model", Model, "--data", Data, "--device", "cuda"], "--device \"cuda\"");
        Refused(["eval", "--model", Model, "--data", Data, "--device", "cuda:3"], "--device \"cuda:3\"");
    }

    [TestCase("--temperature", "-1")]
    [TestCase("--temperature", "NaN")]
    [TestCase("--top-p", "0")]
    [TestCase("--top-p", "1.1")]
    [TestCase("--max-tokens", "0")]
    [TestCase("--seed", "1.5")]
    public void GenerateRefuses(string option, string value) =>
        Refused(["generate", "--model", Model, "--prompt", "x", option, value], $"{option} \"{value}\"");

    [TestCase("--rank", "0")]
    [TestCase("--rank", "-1")]
    [TestCase("--oversample", "-1")]
    [TestCase("--power-iterations", "x")]
    public void SvdRefuses(string option, string value) =>
        Refused(["svd", "--model", Model, "--rank", "2", "--out", At("svd.safetensors"), option, value], option);

    [Test]
    public void SvdRankBeyondTheMatrixNamesTheTensor() =>
        Refused(
            ["svd", "--model", Model, "--rank", "17", "--out", At("svd.safetensors"), "--device", "cpu"],
            "--rank",
            "17",
            "k_proj",
            "16"
        );

    [Test]
    public void SvdWantsOneSource()
    {
        Refused(["svd", "--rank", "2", "--out", At("svd.safetensors")], "--file", "--model");
        Refused(
            [
                "svd",
                "--model",
                Model,
                "--file",
                Path.Combine(Model, "model.safetensors"),
                "--rank",
                "2",
                "--out",
                At("svd.safetensors"),
            ],
            "--file",
            "--model"
        );
        Refused(
            ["svd", "--model", Model, "--tensor", "nothing", "--rank", "2", "--out", At("svd.safetensors")],
            "--tensor \"nothing\""
        );
        Refused(
            ["svd", "--model", Model, "--tensor", "model.norm.weight", "--rank", "2", "--out", At("svd.safetensors")],
            "model.norm.weight",
            "2-D"
        );
    }

    [Test]
    public void ExportFormatIsChecked() =>
        Refused(["export", "--adapter", Model, "--format", "gguf", "--out", Out], "--format \"gguf\"", "peft-lora");

    [Test]
    public void NonEmptyOutIsRefusedAndKept()
    {
        Directory.CreateDirectory(Out);
        File.WriteAllText(Path.Combine(Out, "precious.txt"), "mine");
        Refused(Finetune(), "--out", Out, "--overwrite");
        Refused(["merge", "--model", Model, "--adapter", Model, "--out", Out], "--out", Out);
        Assert.That(Directory.GetFiles(Out).Select(Path.GetFileName), Is.EqualTo(new[] { "precious.txt" }));
    }

    [Test]
    public void OutThatIsAFileOrAnInputIsRefused()
    {
        Refused(["finetune", "--model", Model, "--data", Data, "--out", Data], "--out", "is a file");
        Refused(
            ["finetune", "--model", Model, "--data", Data, "--out", Path.Combine(Data, "below")],
            "--out",
            "is a file"
        );
        Refused(
            ["finetune", "--model", Model, "--data", Data, "--out", Model, "--overwrite"],
            "--out",
            "is read by this command"
        );
        Refused(["svd", "--model", Model, "--rank", "2", "--out", Model], "--out", "is a folder");
        string weights = Path.Combine(Model, "model.safetensors");
        byte[] before = File.ReadAllBytes(weights);
        Refused(
            ["svd", "--model", Model, "--rank", "2", "--out", weights, "--overwrite"],
            "--out",
            "is read by this command"
        );
        Refused(
            ["analyze", "--base", Model, "--tuned", Model, "--out", weights, "--overwrite"],
            "--out",
            "is read by this command"
        );
        Assert.That(File.ReadAllBytes(weights), Is.EqualTo(before));
    }

    /// <summary>Targets are the same if they name the same layers, however they are spelled.</summary>
    [Test]
    public void TargetsBesideInitAdapterHaveToMeanItsLayers()
    {
        CommandLine.Run(Finetune("--target", "v_proj")).Succeeded();
        string[] more =
        [
            "finetune",
            "--model",
            Model,
            "--data",
            Data,
            "--out",
            At("next"),
            "--steps",
            "1",
            "--device",
            "cpu",
            "--init-adapter",
            Out,
            "--target",
        ];
        foreach (string other in new[] { "all-linear", @".*\.(q|v)_proj", "q_proj", "v_proj,q_proj" })
            Refused([.. more, other], $"--target \"{other}\"", "v_proj");
        CommandLine.Run([.. more, @".*\.v_proj"]).Succeeded();
    }

    [Test]
    public void InitAdapterThatConflictsWithAnOptionIsRefused()
    {
        CommandLine.Run(Finetune("--rank", "3", "--top-k", "4")).Succeeded();
        string next = At("next");
        foreach (
            (string option, string value) in new[]
            {
                ("--rank", "5"),
                ("--top-k", "5"),
                ("--alpha", "7"),
                ("--adapter", "lora"),
                ("--target", "q_proj"),
                ("--rank-pattern", "q_proj=5"),
                ("--alpha-pattern", "q_proj=7"),
                ("--bias", "all"),
            }
        )
        {
            Refused(
                [
                    "finetune",
                    "--model",
                    Model,
                    "--data",
                    Data,
                    "--out",
                    next,
                    "--steps",
                    "1",
                    "--device",
                    "cpu",
                    "--init-adapter",
                    Out,
                    option,
                    value,
                ],
                option,
                value
            );
        }

        CommandLine
            .Run(
                "finetune",
                "--model",
                Model,
                "--data",
                Data,
                "--out",
                next,
                "--steps",
                "1",
                "--device",
                "cpu",
                "--init-adapter",
                Out,
                "--rank",
                "3"
            )
            .Succeeded();
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(next, "adapter_config.json")))!;
        Assert.That((int)config["r"]!, Is.EqualTo(3));
        Assert.That((int)config["top_k"]!, Is.EqualTo(4));
    }
}
