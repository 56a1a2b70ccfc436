using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.Merging;

namespace Spectral.Cli.Tests.Commands;

/// <summary><c>spectral merge --method</c>: what it prints and writes, and what it refuses.</summary>
public sealed class MergeCommandTests : WorkFolder
{
    [Test]
    public void SeveralInputsBecomeOneModel()
    {
        string tuned = TinyModel.Create(At("tuned"), seed: 2);
        CommandLine.Run(Finetune("--adapter", "lora", "--rank", "4", "--steps", "4", "--lr", "3e-2")).Succeeded();
        JsonElement made = CommandLine.Run(Merge("linear", $"{Out}=0.5", $"{tuned}=0.25")).Succeeded().Json;
        Assert.That(made.GetProperty("out").GetString(), Is.EqualTo(At("merged")));
        Assert.That(made.GetProperty("method").GetString(), Is.EqualTo("linear"));
        Assert.That(made.GetProperty("tensors").GetInt32(), Is.EqualTo(TinyModel.Tensors().Count()));
        Assert.That(made.GetProperty("seconds").GetDouble(), Is.Positive);
        CommandLine.Run("eval", "--model", At("merged"), "--data", Data, "--device", "cpu", "--json").Succeeded();
        Assert.That(File.Exists(At("merged/tokenizer.json")));

        JsonElement lora = CommandLine
            .Run([.. Merge("linear", $"{Out}=1"), "--overwrite", "--as-adapter", "--rank", "4"])
            .Succeeded()
            .Json;
        Assert.That(lora.GetProperty("error").GetDouble(), Is.LessThan(1e-4), "the change has rank 4");
        Assert.That(lora.GetProperty("rank").GetInt32(), Is.EqualTo(4));
        Assert.That(lora.GetProperty("layers").GetArrayLength(), Is.EqualTo(14));
        Assert.That(lora.GetProperty("layers")[0].GetProperty("error").GetDouble(), Is.LessThan(1e-4));
    }

    [Test]
    public void FactorsOfLorasBecomeALora()
    {
        CommandLine.Run(Finetune("--adapter", "lora", "--rank", "4", "--steps", "4", "--lr", "3e-2")).Succeeded();
        Outcome twice = CommandLine.Run([.. Merge("linear", $"{Out}=0.5", $"{Out}=0.5"), "--factors"]).Succeeded();
        Assert.That(twice.Json.GetProperty("tensors").GetInt32(), Is.EqualTo(28));
        Assert.That(twice.Error, Does.Contain($"{Out}: given 2 times, and merged as so many inputs"));
        // A' = 2 √(s/2) A and B' = 2 √(s/2) B, so that the product is twice s B A, as in PEFT.
        double factors = Loss("--model", Model, "--adapter", At("merged"));
        CommandLine.Run([.. Merge("linear", $"{Out}=2"), "--overwrite"]).Succeeded();
        Assert.That(Loss("--model", At("merged")), Is.EqualTo(factors).Within(1e-4));
        Directory.Delete(At("merged"), recursive: true);
        string[] both = ["--method", "ties", "--input", Out, "--factors", "--as-adapter", "--rank", "3"];
        RefusedMerge(both, "--factors, --as-adapter", "expected one of the two");
        RefusedMerge(["--method", "sce", "--input", Out, "--factors"], "sce does not merge the factors");
    }

    private double Loss(params string[] model) =>
        CommandLine
            .Run(["eval", .. model, "--data", Data, "--device", "cpu", "--json"])
            .Succeeded()
            .Json.GetProperty("loss")
            .GetDouble();

    [Test]
    public void AMethodRunsTheInputsOnTheirData()
    {
        string[] inputs = [TinyModel.Create(At("one"), seed: 2), TinyModel.Create(At("two"), seed: 3)];
        string temporary = Directory.CreateDirectory(At("temporary")).FullName;
        string[] data = ["--data", Data, "--data", TinyModel.WriteData(At("other.jsonl"), 9), "--batch", "4"];
        CommandLine.RunWith("TMPDIR", temporary, [.. Merge("lot", inputs), .. data]).Succeeded();
        Assert.That(Directory.GetFileSystemEntries(temporary), Is.Empty, "what it measured is removed");
        CommandLine.Run("eval", "--model", At("merged"), "--data", Data, "--device", "cpu", "--json").Succeeded();
    }

    [Test]
    public void TheListNamesEveryMethod()
    {
        JsonElement list = CommandLine.Run("merge", "--list", "--json").Succeeded().Json.GetProperty("methods");
        Assert.That(
            list.EnumerateArray().Select(method => method.GetProperty("name").GetString()),
            Is.EqualTo(MergeMethods.All.Select(method => method.Name))
        );
        string table = CommandLine.Run("merge", "--list").Succeeded().Output;
        string one = CommandLine.Run("merge", "--list", "--method", "ties").Succeeded().Output;
        Assert.That(table, Does.Contain("dare-linear").And.Contain("slerp"));
        Assert.That(one, Does.Contain("scope").And.Contain("--density is 0.2"));
    }

    [Test]
    public void BadInputIsRefusedInOneLine()
    {
        string tuned = TinyModel.Create(At("tuned"), seed: 2);
        RefusedMerge(["--method", "tise", "--input", tuned], "unknown merge method 'tise'", "did you mean ties?");
        RefusedMerge(["--method", "linear", "--input", $"{tuned}=half"], "--input", "\"half\" is no weight");
        RefusedMerge(["--method", "linear", "--input", tuned, "--weights", "1,2"], "2 weights", "1 inputs");
        RefusedMerge(["--method", "ties", "--input", tuned, "--density", "0"], "--density \"0\"", "above 0");
        RefusedMerge(["--method", "ties", "--input", tuned, "--set", "t=1"], "--set \"t=1\"", "scope, vote, lambda");
        RefusedMerge(["--method", "ties", "--input", tuned, "--seed", "1"], "--seed \"1\"", "nothing at random");
        RefusedMerge(["--method", "ties", "--input", tuned, "--layers", "3-1"], "--layers \"3-1\"", "such as 0-7,12");
        RefusedMerge(["--method", "ties", "--input", tuned, "--rank", "3"], "--as-adapter --rank R");
        RefusedMerge(["--method", "ties", "--input", tuned, "--adapter", tuned], "--adapter", "expected --input");
        RefusedMerge(["--method", "ties", "--input", At("nowhere")], "nowhere: no such folder");
        RefusedMerge(["--method", "ties"], "at least 1 input");
        RefusedMerge(["--method", "ties", "--input", tuned, "--data", Data], "--data", "ties looks at weights alone");
        RefusedMerge(["--method", "ties", "--input", tuned, "--batch", "4"], "--batch 4", "--data FILE or --eval");
        RefusedMerge(["--method", "lot", "--input", tuned], "expected 1 files of records", "0 are given");
        RefusedMerge(["--method", "lot", "--input", tuned, "--data", At("none.jsonl")], "none.jsonl");
        RefusedMerge(["--density", "0.5"], "--density: has no effect without --method");
        RefusedMerge([], "--adapter DIR, --method NAME or --requantize FORMAT");
    }

    private void RefusedMerge(string[] arguments, params string[] named) =>
        Refused(["merge", "--model", Model, "--out", At("merged"), "--device", "cpu", .. arguments], named);

    private string[] Merge(string method, params string[] inputs) =>
        [
            "merge",
            "--model",
            Model,
            "--method",
            method,
            .. inputs.SelectMany(input => new[] { "--input", input }),
            "--out",
            At("merged"),
            "--device",
            "cpu",
            "--json",
        ];
}
