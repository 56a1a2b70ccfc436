using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.Compression;

namespace Spectral.Cli.Tests.Commands;

/// <summary><c>spectral compress</c>: what it prints and writes, and what it refuses.</summary>
public sealed class CompressCommandTests : WorkFolder
{
    private string Smaller => At("smaller");

    [Test]
    public void AnAdapterBecomesASmallerOneThatLoads()
    {
        CommandLine.Run(Finetune("--adapter", "lora", "--rank", "8", "--steps", "4", "--lr", "3e-2")).Succeeded();
        JsonElement made = CommandLine
            .Run([.. Compress(), "--rank", "2", "--dtype", "bf16", "--json"])
            .Succeeded()
            .Json;
        Assert.That(made.GetProperty("out").GetString(), Is.EqualTo(Smaller));
        Assert.That(made.GetProperty("method").GetString(), Is.EqualTo("lora-squeeze"));
        Assert.That(
            made.GetProperty("bytes_before").GetInt64(),
            Is.GreaterThan(made.GetProperty("bytes_after").GetInt64())
        );
        Assert.That(made.GetProperty("bits_per_parameter").GetDouble(), Is.Positive);
        Assert.That(made.GetProperty("error").GetDouble(), Is.InRange(1e-6, 1));
        Assert.That(made.GetProperty("tensors").GetInt32(), Is.EqualTo(28));
        JsonElement layer = made.GetProperty("layers")[0];
        Assert.That(layer.GetProperty("rank_before").GetInt32(), Is.EqualTo(8));
        Assert.That(layer.GetProperty("rank").GetInt32(), Is.EqualTo(2));
        Assert.That(layer.GetProperty("shape").GetArrayLength(), Is.EqualTo(2));
        Assert.That(layer.GetProperty("error").GetDouble(), Is.InRange(1e-6, 1));
        string[] evaluated = ["eval", "--model", Model, "--adapter", Smaller, "--data", Data, "--device", "cpu"];
        CommandLine.Run(evaluated).Succeeded();
        CommandLine
            .Run("merge", "--model", Model, "--adapter", Smaller, "--out", At("merged"), "--device", "cpu")
            .Succeeded();
        string table = CommandLine.Run([.. Compress(), "--overwrite"]).Succeeded().Output;
        Assert.That(
            table,
            Does.Contain("rank before").And.Contain("bits per parameter").And.Contain("wrote 28 tensors")
        );
    }

    /// <summary>Each method that compresses the change of a base, with settings that suit the tiny model.</summary>
    private static readonly string[][] OfBase =
    [
        ["delta-come", "--set", "bits=3"],
        ["flex-switch", "--set", "density=0.5"],
    ];

    [TestCaseSource(nameof(OfBase))]
    public void TheChangeOfATunedModelBecomesAnAdapterThatLoads(string method, params string[] settings)
    {
        CommandLine.Run(Finetune("--adapter", "lora", "--rank", "8", "--steps", "4", "--lr", "3e-2")).Succeeded();
        string tuned = At("tuned");
        CommandLine.Run("merge", "--model", Model, "--adapter", Out, "--out", tuned, "--device", "cpu").Succeeded();
        string[] compress =
        [
            "compress",
            "--method",
            method,
            "--model",
            Model,
            "--input",
            tuned,
            "--out",
            Smaller,
            "--device",
            "cpu",
            .. settings,
        ];
        JsonElement made = CommandLine.Run([.. compress, "--json"]).Succeeded().Json;
        Assert.That(made.GetProperty("bits_per_parameter").GetDouble(), Is.InRange(0.1, 3.01));
        Assert.That(made.GetProperty("error").GetDouble(), Is.InRange(1e-4, 0.99));
        Assert.That(made.GetProperty("whole").GetArrayLength(), Is.Zero);
        Assert.That(made.GetProperty("calibrated").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(made.GetProperty("layers")[0].GetProperty("bits_per_parameter").GetDouble(), Is.InRange(0.1, 3.01));
        string page = At("page.html");
        string table = CommandLine.Run([.. compress, "--overwrite", "--page", page]).Succeeded().Output;
        Assert.That(table, Does.Contain("bits per parameter").And.Not.Contain("rank before").And.Contain(page));
        Assert.That(
            File.ReadAllText(page),
            Does.Contain("Layers compressed").And.Contain("bits per parameter").And.Contain(settings[^1])
        );
        Refused([.. compress, "--out", At("again"), "--page", page], "--page", "--overwrite replaces it");
        CommandLine
            .Run("merge", "--model", Model, "--adapter", Smaller, "--out", At("one"), "--device", "cpu")
            .Succeeded();
        string[] merge = ["merge", "--method", "linear", "--model", Model, "--input", Smaller, "--device", "cpu"];
        CommandLine.Run([.. merge, "--out", At("two")]).Succeeded();
        double loss = Loss("--model", Model, "--adapter", Smaller);
        Assert.That(Loss("--model", At("one")), Is.EqualTo(loss).Within(1e-5));
        Assert.That(Loss("--model", At("two")), Is.EqualTo(loss).Within(1e-5));
        Assert.That(Loss("--model", Model), Is.Not.EqualTo(loss).Within(1e-4));
        CommandLine
            .Run("generate", "--model", Model, "--adapter", Smaller, "--prompt", "a", "--max-tokens", "2")
            .Succeeded();
        if (method == "delta-come")
            CalibratesOnRecords(compress);
        File.WriteAllText(Path.Combine(Smaller, "compression.json"), "{");
        Refused(["eval", "--model", Model, "--adapter", Smaller, "--data", Data], "compression.json: not valid JSON");
    }

    private void CalibratesOnRecords(string[] compress)
    {
        string calibrated = At("calibrated");
        string page = At("calibrated.html");
        string[] run = [.. compress, "--out", calibrated, "--data", Data, "--batch", "3"];
        JsonElement made = CommandLine.Run([.. run, "--json", "--page", page]).Succeeded().Json;
        JsonElement[] errors =
        [
            made.GetProperty("calibrated"),
            made.GetProperty("layers")[0].GetProperty("calibrated"),
        ];
        foreach (JsonElement error in errors)
        {
            double nearest = error.GetProperty("nearest_output_error").GetDouble();
            Assert.That(error.GetProperty("output_error").GetDouble(), Is.InRange(1e-4, nearest));
            Assert.That(error.GetProperty("nearest_error").GetDouble(), Is.InRange(1e-4, 0.99));
        }
        Assert.That(
            File.ReadAllText(page),
            Does.Contain("output error to nearest").And.Contain("outputs on the records")
        );
        string table = CommandLine.Run([.. run, "--overwrite"]).Succeeded().Output;
        Assert.That(table, Does.Contain("output error to nearest").And.Contain("adds to the layers' outputs"));
        Assert.That(
            File.ReadAllBytes(Path.Combine(calibrated, "packed_model.safetensors")),
            Is.Not.EqualTo(File.ReadAllBytes(Path.Combine(Smaller, "packed_model.safetensors")))
        );
        Loss("--model", Model, "--adapter", calibrated);
    }

    [Test]
    public void AnAdapterThatTrainedInOneBitIsPackedWithoutLoss()
    {
        CommandLine.Run(Finetune("--adapter", "one-bit", "--rank", "8", "--steps", "4", "--lr", "3e-2")).Succeeded();
        JsonElement made = CommandLine.Run([.. Compress(), "--method", "one-bit", "--json"]).Succeeded().Json;
        Assert.That(made.GetProperty("error").GetDouble(), Is.LessThan(1e-7));
        Assert.That(
            made.GetProperty("bytes_after").GetInt64(),
            Is.LessThan(made.GetProperty("bytes_before").GetInt64() / 2)
        );
        double loss = Loss("--model", Model, "--adapter", Out);
        Assert.That(Loss("--model", Model, "--adapter", Smaller), Is.EqualTo(loss).Within(1e-5));
    }

    [Test]
    public void TheListNamesEveryMethod()
    {
        JsonElement list = CommandLine.Run("compress", "--list", "--json").Succeeded().Json.GetProperty("methods");
        Assert.That(
            list.EnumerateArray().Select(method => method.GetProperty("name").GetString()),
            Is.EqualTo(CompressionMethods.All.Select(method => method.Name))
        );
        Assert.That(CommandLine.Run("compress", "--list").Succeeded().Output, Does.Contain("--energy 0.99"));
        string one = CommandLine.Run("compress", "--list", "--method", "lora-squeeze").Succeeded().Output;
        Assert.That(one, Does.Contain("Eckart-Young"));
        string other = CommandLine.Run("compress", "--list", "--method", "delta-come").Succeeded().Output;
        Assert.That(other, Does.Contain("bits").And.Contain("from 0.01 to 16"));
    }

    [Test]
    public void BadInputIsRefusedInOneLine()
    {
        CommandLine.Run(Finetune("--adapter", "dora", "--rank", "2")).Succeeded();
        Refused([.. Compress()], "is no plain LoRA's equal");
        Refused([.. Compress(), "--rank", "0"], "--rank", "\"0\"");
        Refused([.. Compress(), "--energy", "0"], "--energy \"0\"", "above 0 and at most 1");
        Refused([.. Compress(), "--energy", "1.01"], "--energy \"1.01\"");
        Refused([.. Compress(), "--energy", "nan"], "--energy \"nan\"");
        Refused([.. Compress(), "--energy", "0.5", "--rank", "2"], "expected one of the two");
        Refused([.. Compress(), "--method", "zip"], "unknown compression method 'zip'", "lora-squeeze");
        Refused([.. Compress(), "--set", "bits=1"], "--set \"bits=1\"", "no settings of its own");
        Refused([.. Compress(), "--method", "delta-come"], "expected --model");
        Refused([.. Compress(), "--method", "delta-come", "--set", "bits=x"], "setting bits=x", "0.01 to 16");
        Refused([.. Compress(), "--method", "delta-come", "--energy", "0.5"], "keeps no share of energy");
        Refused([.. Compress(), "--method", "delta-come", "--model", Model, "--set", "bits=0.1"], "expected at least");
        Refused([.. Compress(), "--data", Data], "--data", "lora-squeeze looks at weights alone");
        Refused([.. Compress(), "--batch", "2"], "--batch", "--data FILE");
        Refused([.. Compress(), "--method", "delta-come", "--data", Data], "--data", "expected --model");
        Refused([.. Compress(), "--out", Out], "--out", Out);
        Refused(["compress", "--input", Out, "--out", Smaller], "'--method' is required");
        Refused(["compress", "--method", "lora-squeeze", "--out", Smaller], "'--input' is required");
        Refused(["compress", "--method", "lora-squeeze", "--input", Out], "'--out' is required");
    }

    private double Loss(params string[] model) =>
        CommandLine
            .Run(["eval", .. model, "--data", Data, "--device", "cpu", "--json"])
            .Succeeded()
            .Json.GetProperty("loss")
            .GetDouble();

    private string[] Compress() =>
        ["compress", "--method", "lora-squeeze", "--input", Out, "--out", Smaller, "--device", "cpu"];
}
