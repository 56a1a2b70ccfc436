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

    /// <summary>Without an adapter the base is rewritten, and what a method makes of inputs is quantised too.</summary>
    [Test]
    public void AFolderOrAMergeByMethodIsWrittenQuantised()
    {
        string[] result = ["--requantize", "int8", "--device", "cpu", "--json"];
        string[] merge = ["merge", "--model", Model, "--out"];
        Outcome alone = CommandLine.Run([.. merge, At("alone"), .. result]).Succeeded();
        Assert.That(alone.Json.GetProperty("requantized").GetInt32(), Is.EqualTo(14));
        double error = alone.Json.GetProperty("error").GetDouble();
        Assert.That(error, Is.InRange(1e-4, 0.02));
        Assert.That(Loss(At("alone")), Is.EqualTo(Loss(Model, "--quantize", "int8")).Within(1e-4));

        Train(Model);
        string[] method = ["--method", "linear", "--input", Out];
        Outcome made = CommandLine.Run([.. merge, At("made"), .. method, .. result]).Succeeded();
        Assert.That(made.Json.GetProperty("requantized").GetInt32(), Is.EqualTo(14));
        CommandLine.Run([.. merge, At("plain"), .. method, "--device", "cpu"]).Succeeded();
        Assert.That(Loss(At("made")), Is.EqualTo(Loss(At("plain"), "--quantize", "int8")).Within(1e-4));
        Assert.That(Loss(At("made")), Is.Not.EqualTo(Loss(At("alone"))).Within(1e-3), "the adapter is in it");
    }

    [Test]
    public void AnAdapterOnAnotherFormIsDoubtedInOneLine()
    {
        Train(Model, "--quantize", "nf4");
        string[] eval = ["eval", "--model", Model, "--adapter", Out, "--data", Data, "--device", "cpu"];
        const string Doubt = "trained on a base with linear layers in 'nf4'";
        Assert.That(CommandLine.Run(eval).Succeeded().Error, Does.Contain(Doubt).And.Contain("in 'plain'"));
        Assert.That(CommandLine.Run([.. eval, "--quantize", "nf4"]).Succeeded().Error, Does.Not.Contain(Doubt));
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
            [.. merge, "--method", "linear", "--input", Out, "--as-adapter", "--rank", "2", "--requantize", "nf4"],
            "--requantize",
            "not a LoRA"
        );
        Refused(
            [.. merge, "--method", "linear", "--input", Out, "--eval", $"a={Data}", "--requantize", "nf4"],
            "--requantize",
            "no --eval"
        );
        Refused([.. merge, "--requantize", "int8", "--quantize", "nf4"], "--quantize nf4", "--adapter DIR");
        Refused(merge, "--adapter DIR, --method NAME or --requantize FORMAT");
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
