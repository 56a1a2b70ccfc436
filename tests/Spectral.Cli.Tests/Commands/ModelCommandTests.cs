using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Tests.Commands;

/// <summary>
/// Tests the commands that read a model: what they print, and that different ways to a result agree.
/// </summary>
public sealed class ModelCommandTests : WorkFolder
{
    /// <summary>The tolerance for F32 sums in another order; a wrong factor gives 1e-3 or more.</summary>
    private const double Rounding = 2e-5;

    [TestCase("speclora", "8")]
    [TestCase("speclora", "0")]
    [TestCase("lora", "4")]
    public void MergedAndExportedModelsAgreeWithTheAdapter(string method, string rank)
    {
        CommandLine
            .Run(Finetune("--adapter", method, "--rank", rank, "--steps", "8", "--lr", "3e-2", "--overwrite"))
            .Succeeded();
        double before = Eval(Model);
        double adapted = Eval(Model, Out);
        Assert.That(adapted, Is.LessThan(before * 0.99), "the adapter has to matter, else agreeing says nothing");

        string merged = At("merged");
        string exported = At("exported");
        JsonElement merge = CommandLine
            .Run("merge", "--model", Model, "--adapter", Out, "--out", merged, "--device", "cpu", "--json")
            .Succeeded()
            .Json;
        Assert.That(merge.GetProperty("out").GetString(), Is.EqualTo(merged));
        Assert.That(merge.GetProperty("tensors").GetInt32(), Is.EqualTo(TinyModel.Tensors().Count()));
        Assert.That(merge.GetProperty("seconds").GetDouble(), Is.Positive);
        Assert.That(Eval(merged), Is.EqualTo(adapted).Within(Rounding));

        JsonElement export = CommandLine
            .Run("export", "--adapter", Out, "--format", "peft-lora", "--out", exported, "--json")
            .Succeeded()
            .Json;
        Assert.That(export.GetProperty("out").GetString(), Is.EqualTo(exported));
        Assert.That(Eval(Model, exported), Is.EqualTo(adapted).Within(Rounding));
        Assert.That(File.ReadAllText(Path.Combine(exported, "adapter_config.json")), Does.Contain("\"LORA\""));
        Assert.That(
            Entries(),
            Is.EqualTo(new[] { "data.jsonl", "exported", "merged", "model", "out" }),
            "nothing is left beside the results"
        );
    }

    [Test]
    public void EvalPrintsItsNumbers()
    {
        JsonElement result = CommandLine
            .Run("eval", "--model", Model, "--data", Data, "--device", "cpu", "--json")
            .Succeeded()
            .Json;
        Assert.That(
            result.GetProperty("perplexity").GetDouble(),
            Is.EqualTo(Math.Exp(result.GetProperty("loss").GetDouble())).Within(1e-9).Percent
        );
        Assert.That(result.GetProperty("records").GetInt32(), Is.EqualTo(24));
        Assert.That(result.GetProperty("tokens").GetInt64(), Is.EqualTo(24 * 3), "two digits and the end token each");
        Assert.That(result.GetProperty("exact_match").GetDouble(), Is.InRange(0, 1));

        File.WriteAllText(At("text.jsonl"), "{\"text\":\"abc\"}\n");
        result = CommandLine
            .Run("eval", "--model", Model, "--data", At("text.jsonl"), "--device", "cpu", "--json")
            .Succeeded()
            .Json;
        Assert.That(
            result.GetProperty("tokens").GetInt64(),
            Is.EqualTo(3),
            "every token but the first, and the end token"
        );
        Assert.That(result.GetProperty("exact_match").ValueKind, Is.EqualTo(JsonValueKind.Null));
    }

    [Test]
    public void UnknownKeysOfAnAdapterAreMentioned()
    {
        CommandLine.Run(Finetune()).Succeeded();
        TinyModel.Set(Path.Combine(Out, "adapter_config.json"), "key_of_tomorrow", 1);
        foreach (
            string[] command in new string[][]
            {
                ["eval", "--model", Model, "--data", Data, "--adapter", Out, "--device", "cpu"],
                ["export", "--adapter", Out, "--out", At("exported")],
            }
        )
        {
            Assert.That(
                CommandLine.Run(command).Succeeded().Error,
                Does.StartWith("warning: ").And.Contain("key_of_tomorrow")
            );
        }
    }

    /// <summary>
    /// A config that ties a head that differs from the embedding, and tokenizer files that disagree: each reader warns.
    /// </summary>
    [Test]
    public void WhatIsOddInAModelFolderIsSaidByEveryCommandThatReadsIt()
    {
        CommandLine.Run(Finetune("--adapter", "lora")).Succeeded();
        string weights = Path.Combine(Model, "model.safetensors");
        using (var file = SafetensorsFile.Open(weights))
        {
            float[] head = file["model.embed_tokens.weight"].ToFloats();
            head[0] += 1;
            TensorToWrite[] tensors =
            [
                .. file.Tensors.Values.Select(tensor =>
                    TensorToWrite.Floats(tensor.Name, tensor.Type, tensor.Shape, tensor.ToFloats)
                ),
                TensorToWrite.Floats(
                    "lm_head.weight",
                    StoredType.F32,
                    [TinyModel.Vocabulary, TinyModel.Hidden],
                    () => head
                ),
            ];
            SafetensorsWriter.Write(At("weights"), tensors);
        }
        File.Move(At("weights"), weights, overwrite: true);
        File.WriteAllText(
            Path.Combine(Model, "tokenizer_config.json"),
            """{"add_prefix_space":true,"eos_token":"a"}"""
        );
        const string Head = "lm_head.weight differs";
        const string Space = "add_prefix_space";
        const string End = "the eos_token of tokenizer_config.json is 'a' (97)";
        string[] data = ["--data", Data, "--device", "cpu"];
        string[] both = ["--model", Model, "--adapter", Out, "--device", "cpu"];

        Says(["tokenize", "--model", Model, "--text", "x"], Space);
        Says(["eval", "--model", Model, .. data], Head, Space, End);
        Says(["generate", "--model", Model, "--prompt", "x", "--max-tokens", "1", "--device", "cpu"], Head, Space, End);
        Says(
            ["finetune", "--model", Model, "--out", At("again"), "--steps", "1", "--batch", "2", .. data],
            Head,
            Space,
            End
        );
        Says(
            [
                "svd",
                "--model",
                Model,
                "--rank",
                "2",
                "--tensor",
                "lm_head.weight",
                "--out",
                At("svd"),
                "--device",
                "cpu",
            ],
            Head
        );
        Says(
            ["analyze", "--base", Model, "--adapter", Out, "--out", At("page.html"), "--draws", "0", "--device", "cpu"],
            Head
        );
        Says(["export", .. both, "--out", At("exported")], Head);
        Says(["merge", .. both, "--out", At("merged")], Head);
        Assert.That(
            File.ReadAllText(Path.Combine(At("merged"), "config.json")),
            Does.Match("\"tie_word_embeddings\": *false")
        );
        Assert.That(Eval(At("merged")), Is.EqualTo(Eval(Model, Out)).Within(Rounding));

        static void Says(string[] command, params string[] named)
        {
            string error = CommandLine.Run(command).Succeeded().Error;
            foreach (string text in named)
            {
                Assert.That(
                    error.Split('\n').Count(line => line.StartsWith("warning: ") && line.Contains(text)),
                    Is.EqualTo(1),
                    $"{command[0]}: {text}"
                );
            }
        }
    }

    [Test]
    public void ASeedOrANucleusWithoutATemperatureIsSaidToDoNothing()
    {
        string[] generate = ["generate", "--model", Model, "--prompt", "x", "--max-tokens", "1", "--device", "cpu"];
        Refused([.. generate, "--top-p", "0.5"], "--top-p 0.5", "--temperature");
        Assert.That(
            CommandLine.Run([.. generate, "--seed", "5"]).Succeeded().Error,
            Does.StartWith("warning: --seed 5 changes nothing")
        );
    }

    [Test]
    public void ANameThatIsNoFolderIsNotTakenForAModel() =>
        Refused(
            ["eval", "--model", "org/name", "--data", Data],
            "org/name: no such folder",
            "models are not downloaded"
        );

    [Test]
    public void EvalDoesNotDependOnTheBatch() =>
        Assert.That(Eval(Model, null, "--batch", "5"), Is.EqualTo(Eval(Model, null, "--batch", "1")).Within(Rounding));

    [Test]
    public void GenerateIsRepeatable()
    {
        string[] arguments =
        [
            "generate",
            "--model",
            Model,
            "--prompt",
            "@hello \"ä\"",
            "--max-tokens",
            "6",
            "--device",
            "cpu",
            "--json",
        ];
        JsonElement greedy = CommandLine.Run(arguments).Succeeded().Json;
        Assert.That(greedy.GetProperty("tokens").GetArrayLength(), Is.InRange(0, 6));
        Assert.That(greedy.GetProperty("text").ValueKind, Is.EqualTo(JsonValueKind.String));
        string[] sampled = [.. arguments, "--temperature", "1.5", "--top-p", "0.9", "--seed", "5"];
        Assert.That(
            CommandLine.Run(sampled).Succeeded().Output,
            Is.EqualTo(CommandLine.Run(sampled).Succeeded().Output)
        );
    }

    [Test]
    public void GenerateBeyondTheModelsPositionsIsRefused() =>
        Refused(
            ["generate", "--model", Model, "--prompt", "x", "--max-tokens", "4000", "--device", "cpu"],
            "4000",
            "256"
        );

    [Test]
    public void TokenizeGoesThereAndBack()
    {
        const string Text = "Grüße, 世界 <|end|>!";
        JsonElement result = CommandLine.Run("tokenize", "--model", Model, "--text", Text, "--json").Succeeded().Json;
        Assert.That(
            result.GetProperty("ids").GetArrayLength(),
            Is.EqualTo(result.GetProperty("tokens").GetArrayLength())
        );
        Assert.That(
            result.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()),
            Does.Contain(TinyModel.End)
        );
        Assert.That(result.GetProperty("text").GetString(), Is.EqualTo("Grüße, 世界 !"), "special tokens are no text");
        Assert.That(
            CommandLine
                .Run("tokenize", "--model", Model, "--text", "", "--json")
                .Succeeded()
                .Json.GetProperty("ids")
                .GetArrayLength(),
            Is.Zero
        );
    }

    [Test]
    public void InfoListsTheCpuDevice()
    {
        JsonElement result = CommandLine.Run("info", "--json").Succeeded().Json;
        JsonElement cpu = result
            .GetProperty("devices")
            .EnumerateArray()
            .Single(device => device.GetProperty("kind").GetString() == "cpu");
        Assert.That(cpu.GetProperty("name").GetString(), Is.Not.Empty);
        Assert.That(cpu.GetProperty("memory_bytes").GetInt64(), Is.Positive);
        Assert.That(result.GetProperty("libraries").ValueKind, Is.EqualTo(JsonValueKind.Object));
        JsonElement chosen = result.GetProperty("kernels").GetProperty("low_rank_variant").GetProperty("cpu");
        foreach (string type in new[] { "f32", "bf16" })
            Assert.That(chosen.GetProperty(type).GetString(), Is.EqualTo("composed-b"));
        Assert.That(CommandLine.Run("info").Succeeded().Output, Does.Contain("cpu"));
    }

    [Test]
    public void SvdOfEveryMatrixRebuildsItUpToTheBound()
    {
        const int Rank = 6;
        string output = At("svd.safetensors");
        JsonElement result = CommandLine
            .Run(
                "svd",
                "--model",
                Model,
                "--rank",
                $"{Rank}",
                "--seed",
                "3",
                "--out",
                output,
                "--device",
                "cpu",
                "--json"
            )
            .Succeeded()
            .Json;
        using var model = ModelFolder.Open(Model);
        using var factors = SafetensorsFile.Open(output);
        string[] matrices =
        [
            .. TinyModel.Tensors().Where(tensor => tensor.Shape.Length == 2).Select(tensor => tensor.Name),
        ];
        Assert.That(
            result.GetProperty("tensors").EnumerateArray().Select(row => row.GetProperty("name").GetString()),
            Is.EquivalentTo(matrices)
        );
        Assert.That(factors.Tensors, Has.Count.EqualTo(3 * matrices.Length));
        foreach (JsonElement row in result.GetProperty("tensors").EnumerateArray())
        {
            string name = row.GetProperty("name").GetString()!;
            Assert.That(row.GetProperty("rank").GetInt32(), Is.EqualTo(Rank));
            Assert.That(row.GetProperty("seconds").GetDouble(), Is.Positive);
            Assert.That(
                row.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()),
                Is.EqualTo(model[name].Shape)
            );
            double bound = row.GetProperty("residual_bound").GetDouble();
            Assert.That(
                Residual(model[name], factors, name, Rank),
                Is.LessThanOrEqualTo(bound * Math.Sqrt(Math.Min(model[name].Shape[0], model[name].Shape[1]))),
                "a Frobenius norm is at most the spectral one times the root of the rank"
            );
        }
    }

    [Test]
    public void SvdOfOneTensorOfAFileGivesTheSameAsOfTheModel()
    {
        const string Name = "model.layers.1.mlp.down_proj.weight";
        CommandLine
            .Run(
                "svd",
                "--model",
                Model,
                "--tensor",
                Name,
                "--rank",
                "4",
                "--out",
                At("a.safetensors"),
                "--device",
                "cpu"
            )
            .Succeeded();
        CommandLine
            .Run(
                "svd",
                "--file",
                Path.Combine(Model, "model.safetensors"),
                "--rank",
                "4",
                "--out",
                At("b.safetensors"),
                "--device",
                "cpu"
            )
            .Succeeded();
        using var one = SafetensorsFile.Open(At("a.safetensors"));
        using var all = SafetensorsFile.Open(At("b.safetensors"));
        Assert.That(one.Tensors, Has.Count.EqualTo(3));
        foreach (string factor in new[] { ".U", ".S", ".Vt" })
            Assert.That(one[Name + factor].ToFloats(), Is.EqualTo(all[Name + factor].ToFloats()));
    }

    private double Eval(string model, string? adapter = null, params string[] more) =>
        CommandLine
            .Run([
                "eval",
                "--model",
                model,
                "--data",
                Data,
                "--device",
                "cpu",
                "--json",
                .. adapter is null ? (string[])[] : ["--adapter", adapter],
                .. more,
            ])
            .Succeeded()
            .Json.GetProperty("loss")
            .GetDouble();

    private static double Residual(SafetensorsTensor matrix, SafetensorsFile factors, string name, int rank)
    {
        float[] a = matrix.ToFloats();
        float[] u = factors[name + ".U"].ToFloats();
        float[] s = factors[name + ".S"].ToFloats();
        float[] vt = factors[name + ".Vt"].ToFloats();
        int rows = (int)matrix.Shape[0];
        int columns = (int)matrix.Shape[1];
        double sum = 0;
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                double rest = a[i * columns + j];
                for (int k = 0; k < rank; k++)
                    rest -= (double)u[i * rank + k] * s[k] * vt[k * columns + j];
                sum += rest * rest;
            }
        }

        return Math.Sqrt(sum);
    }
}
