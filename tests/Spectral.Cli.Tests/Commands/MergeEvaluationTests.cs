using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.Merging;

namespace Spectral.Cli.Tests.Commands;

/// <summary><c>spectral merge --eval</c>: what it measures, prints and leaves behind, and what it refuses.</summary>
public sealed class MergeEvaluationTests : WorkFolder
{
    private string Other => At("other.jsonl");

    private string Temporary => At("temporary");

    [SetUp]
    public void WriteTask()
    {
        File.WriteAllText(Other, "{\"prompt\":\"name: \",\"completion\":\"xyz\"}\n");
        Directory.CreateDirectory(Temporary);
    }

    [Test]
    public void EveryMethodIsMeasuredAndNothingStays()
    {
        string tuned = TinyModel.Create(At("tuned"), seed: 2);
        CommandLine.Run(Finetune("--adapter", "lora", "--rank", "4", "--steps", "8", "--lr", "3e-2")).Succeeded();
        string[] before = Entries();
        JsonElement made = Measured("all", [Out, tuned], "--page", At("merges.html"));
        Assert.That(Entries(), Is.EqualTo(before.Append("merges.html").Order(StringComparer.Ordinal)));
        Assert.That(Directory.GetFileSystemEntries(Temporary), Is.Empty, "temporary results are removed");
        Assert.That(made.GetProperty("method").GetString(), Is.EqualTo("all"));
        JsonElement found = made.GetProperty("evaluation");
        string[] measured = Names(found, "methods");
        string[] leftOut = Names(found, "left_out");
        Assert.That(measured.Concat(leftOut), Is.EquivalentTo(MergeMethods.All.Select(method => method.Name)));
        Assert.That(measured, Does.Contain("linear").And.Contain("slerp").And.Contain("ties"));
        Assert.That(Reason(found, "wise-ft"), Does.Contain("2 inputs are given, expected 1 input"));
        Assert.That(Reason(found, "diff-transfer"), Does.Contain("from=DIR"));
        Assert.That(Reason(found, "lot"), Does.Contain("needs data of each input"));
        string page = File.ReadAllText(At("merges.html"));
        Assert.That(page, Does.Contain(">digits: kept<").And.Contain("wise-ft: ").And.Contain("<td>" + Other));
    }

    [Test]
    public void WhatIsKeptIsTheShareOfTheBestInputsGain()
    {
        string tuned = TinyModel.Create(At("tuned"), seed: 2);
        CommandLine.Run(Finetune("--adapter", "lora", "--rank", "4", "--steps", "8", "--lr", "3e-2")).Succeeded();
        JsonElement found = Measured("lo-fi", [Out, tuned]).GetProperty("evaluation");
        JsonElement task = found.GetProperty("tasks")[0];
        Assert.That(task.GetProperty("name").GetString(), Is.EqualTo("digits"));
        Assert.That(task.GetProperty("records").GetInt32(), Is.EqualTo(24));
        Assert.That(task.GetProperty("expert").GetString(), Is.EqualTo(Out), "the other input is not trained");
        double start = Loss(found.GetProperty("base"));
        double expert = Loss(found.GetProperty("inputs")[0]);
        JsonElement merge = found.GetProperty("methods")[0];
        Assert.That(expert, Is.LessThan(start));
        Assert.That(
            merge.GetProperty("tasks")[0].GetProperty("kept").GetDouble(),
            Is.EqualTo((start - Loss(merge)) / (start - expert)).Within(1e-12)
        );
        Assert.That(
            found.GetProperty("inputs")[0].GetProperty("tasks")[0].GetProperty("kept").GetDouble(),
            Is.EqualTo(1)
        );
        Assert.That(found.GetProperty("base").GetProperty("tasks")[0].GetProperty("kept").GetDouble(), Is.Zero);
        JsonElement evaluated = CommandLine
            .Run("eval", "--model", Model, "--adapter", Out, "--data", Data, "--device", "cpu", "--json")
            .Succeeded()
            .Json;
        Assert.That(expert, Is.EqualTo(evaluated.GetProperty("loss").GetDouble()).Within(1e-9));
    }

    [Test]
    public void OneMethodWritesItsResultToo()
    {
        string tuned = TinyModel.Create(At("tuned"), seed: 2);
        JsonElement made = Measured("linear", [$"{tuned}=0.5"], "--out", At("merged"));
        Assert.That(made.GetProperty("tensors").GetInt32(), Is.EqualTo(TinyModel.Tensors().Count()));
        JsonElement evaluated = CommandLine
            .Run("eval", "--model", At("merged"), "--data", Data, "--device", "cpu", "--json")
            .Succeeded()
            .Json;
        Assert.That(
            Loss(made.GetProperty("evaluation").GetProperty("methods")[0]),
            Is.EqualTo(evaluated.GetProperty("loss").GetDouble()).Within(1e-9)
        );
        string table = CommandLine.Run([.. Merge("lo-fi", [tuned])]).Succeeded().Output;
        Assert.That(table, Does.Contain("digits: loss").And.Contain("kept on average").And.Contain($"input {tuned}"));
    }

    [Test]
    public void BadInputIsRefusedInOneLine()
    {
        string tuned = TinyModel.Create(At("tuned"), seed: 2);
        RefusedMerge(
            ["--method", "all", "--input", tuned, "--out", At("merged")],
            "--method \"all\"",
            "--eval TASK=FILE"
        );
        RefusedMerge([.. Tasks("all", tuned), "--out", At("merged")], "--out", "name of one method");
        RefusedMerge([.. Tasks("all", tuned), "--eval", $"digits={Other}"], "two tasks are called \"digits\"");
        RefusedMerge([.. Tasks("all", tuned), "--eval", At("nowhere.jsonl")], "nowhere.jsonl");
        RefusedMerge([.. Tasks("all", At("nowhere"))], "nowhere: no such folder");
        RefusedMerge([.. Tasks("all", tuned), "--set", "nothing=1"], "--set \"nothing=1\"", "these methods");
        RefusedMerge([.. Tasks("linear", tuned), "--page", Data], "--page", "is read by this command");
        RefusedMerge(
            ["--method", "linear", "--input", tuned, "--out", At("merged"), "--page", At("p.html")],
            "--page",
            "expected --eval TASK=FILE"
        );
        RefusedMerge(["--eval", $"digits={Data}", "--out", At("merged")], "--eval: has no effect without --method");
    }

    private void RefusedMerge(string[] arguments, params string[] named) =>
        Refused(["merge", "--model", Model, "--device", "cpu", .. arguments], named);

    private JsonElement Measured(string method, string[] inputs, params string[] more) =>
        CommandLine.RunWith("TMPDIR", Temporary, [.. Merge(method, inputs), "--json", .. more]).Succeeded().Json;

    private string[] Merge(string method, string[] inputs) =>
        ["merge", "--model", Model, "--device", "cpu", .. Tasks(method, inputs), "--eval", Other];

    private string[] Tasks(string method, params string[] inputs) =>
        ["--method", method, .. inputs.SelectMany(input => new[] { "--input", input }), "--eval", $"digits={Data}"];

    private static double Loss(JsonElement score) => score.GetProperty("tasks")[0].GetProperty("loss").GetDouble();

    private static string[] Names(JsonElement found, string list) =>
        [.. found.GetProperty(list).EnumerateArray().Select(one => one.GetProperty("method").GetString()!)];

    private static string Reason(JsonElement found, string method) =>
        found
            .GetProperty("left_out")
            .EnumerateArray()
            .Single(one => one.GetProperty("method").GetString() == method)
            .GetProperty("reason")
            .GetString()!;
}
