using System.Text.Json;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Commands;

/// <summary>
/// <c>spectral merge --requantize</c>: folders with quantised weights are written, trained on and merged.
/// </summary>
public sealed class RequantizeCommandTests : WorkFolder
{
    [Test]
    public void AQuantisedResultIsABaseLikeAnyOther([Values("nf4", "fp4", "fp8", "int8")] string format)
    {
        Train(Model);
        string[] nested = format is "nf4" or "fp4" ? ["--double-requantize"] : [];
        Outcome merge = Merge(Model, At("merged"), ["--requantize", format, .. nested, "--json"]).Succeeded();
        Assert.That(merge.Json.GetProperty("requantized").GetInt32(), Is.EqualTo(14));
        double error = merge.Json.GetProperty("error").GetDouble();
        // At most half a step where codes are widest, a sixth of the largest number of a block in FP4, and 2^-4 of a
        // number in FP8; the numbers themselves are about half the largest.
        Assert.That(error, Is.Positive.And.LessThan(format is "nf4" or "fp4" ? 0.33 : 0.0625));
        Assert.That(File.ReadAllText(At("merged/config.json")), Does.Contain("\"quantization_config\""));
        Assert.That(Loss(At("merged")), Is.Not.EqualTo(Loss(Model)));

        Train(At("merged"), "--overwrite");
        Merge(At("merged"), At("again"), []).Succeeded();
        Assert.That(File.ReadAllText(At("again/config.json")), Does.Not.Contain("quantization_config"));
        double trained = Loss(At("merged"), "--adapter", Out);
        Assert.That(Loss(At("again")), Is.EqualTo(trained).Within(1e-2), "rounded once to the type of the result");
    }

    [Test]
    public void TheErrorIsPrinted()
    {
        Train(Model);
        string output = Merge(Model, At("merged"), ["--requantize", "int8"]).Succeeded().Output;
        Assert.That(output, Does.Match("rounded 14 weights to int8: relative error 0\\.00[0-9]+"));
    }

    [Test]
    public void BadInputIsRefusedInOneLine()
    {
        Train(Model);
        string[] merge = ["merge", "--model", Model, "--out", At("merged"), "--device", "cpu"];
        Refused([.. merge, "--adapter", Out, "--requantize", "q4"], "--requantize", "q4", "nf4");
        Refused([.. merge, "--adapter", Out, "--double-requantize"], "--double-requantize", "--requantize nf4 or fp4");
        Refused(
            [.. merge, "--adapter", Out, "--requantize", "fp8", "--double-requantize"],
            "--double-requantize",
            "not fp8"
        );
        Refused(
            [.. merge, "--method", "linear", "--input", Out, "--requantize", "nf4"],
            "--requantize nf4",
            "--adapter DIR"
        );
    }

    private void Train(string model, params string[] more) =>
        CommandLine
            .Run([
                "finetune",
                "--model",
                model,
                "--data",
                Data,
                "--out",
                Out,
                "--steps",
                "3",
                "--batch",
                "2",
                "--lr",
                "3e-2",
                "--device",
                "cpu",
                .. more,
            ])
            .Succeeded();

    private Outcome Merge(string model, string result, string[] more) =>
        CommandLine.Run(["merge", "--model", model, "--adapter", Out, "--out", result, "--device", "cpu", .. more]);

    private double Loss(string model, params string[] more)
    {
        string[] eval = ["eval", "--model", model, "--data", Data, "--device", "cpu", "--json"];
        JsonElement result = CommandLine.Run([.. eval, .. more]).Succeeded().Json;
        return result.GetProperty("loss").GetDouble();
    }
}
