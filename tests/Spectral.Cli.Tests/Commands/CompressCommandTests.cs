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
        Refused([.. Compress(), "--out", Out], "--out", Out);
        Refused(["compress", "--input", Out, "--out", Smaller], "'--method' is required");
        Refused(["compress", "--method", "lora-squeeze", "--out", Smaller], "'--input' is required");
        Refused(["compress", "--method", "lora-squeeze", "--input", Out], "'--out' is required");
    }

    private string[] Compress() =>
        ["compress", "--method", "lora-squeeze", "--input", Out, "--out", Smaller, "--device", "cpu"];
}
