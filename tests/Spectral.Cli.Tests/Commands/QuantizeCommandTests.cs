using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Tests.Support;
using Spectral.Training.IO;

namespace Spectral.Cli.Tests.Commands;

/// <summary><c>--quantize</c>: every command sees the base as what its codes stand for.</summary>
public sealed class QuantizeCommandTests : WorkFolder
{
    [Test]
    public void TheLossIsThatOfTheRoundedWeights([Values("nf4", "fp4", "fp8", "int8")] string format)
    {
        string rounded = Rounded(format);
        double expected = Loss(rounded);
        Assert.That(Loss(Model, "--quantize", format), Is.EqualTo(expected).Within(1e-5));
        Assert.That(Loss(Model), Is.Not.EqualTo(expected).Within(1e-5), "rounding changes the loss");
    }

    [Test]
    public void ATrainedAdapterIsMergedIntoTheBaseItWasTrainedOn()
    {
        string[] nf4 = ["--quantize", "nf4", "--double-quantize"];
        CommandLine.Run(Finetune(["--steps", "4", "--lr", "3e-2", .. nf4])).Succeeded();
        double loss = Loss(Model, ["--adapter", Out, .. nf4]);
        Assert.That(loss, Is.Not.EqualTo(Loss(Model, "--adapter", Out)).Within(1e-5));
        string[] merge = ["merge", "--model", Model, "--adapter", Out, "--out", At("merged"), "--device", "cpu"];
        CommandLine.Run([.. merge, .. nf4]).Succeeded();
        Assert.That(Loss(At("merged")), Is.EqualTo(loss).Within(1e-5));
        string[] generate = ["generate", "--prompt", "1 again: ", "--max-tokens", "4", "--device", "cpu", "--json"];
        string text = Text([.. generate, "--model", Model, "--adapter", Out, .. nf4]);
        Assert.That(Text([.. generate, "--model", At("merged")]), Is.EqualTo(text));

        string Text(string[] command) => CommandLine.Run(command).Succeeded().Json.GetProperty("text").GetString()!;
    }

    /// <summary>Layers without an adapter are rounded too, in a folder as in one file for llama.cpp.</summary>
    [Test]
    public void TheGgufFileIsThatOfTheMergedFolder()
    {
        string[] nf4 = ["--quantize", "nf4"];
        string[] merge = ["merge", "--device", "cpu", "--model"];
        CommandLine.Run(Finetune(["--target", "q_proj", "--lr", "3e-2", .. nf4])).Succeeded();
        string[] adapter = ["--adapter", Out, .. nf4];
        string merged = At("merged/model"); // the file has the folder's name in it
        CommandLine.Run([.. merge, Model, .. adapter, "--out", merged]).Succeeded();
        string[] gguf = ["--format", "gguf", "--dtype", "f32", "--out"];
        CommandLine.Run([.. merge, merged, .. gguf, At("a.gguf")]).Succeeded();
        CommandLine.Run([.. merge, Model, .. adapter, .. gguf, At("b.gguf")]).Succeeded();
        Assert.That(File.ReadAllBytes(At("b.gguf")), Is.EqualTo(File.ReadAllBytes(At("a.gguf"))));
        CommandLine.Run([.. merge, Model, .. gguf, At("c.gguf"), .. nf4]).Refused(2, "--quantize nf4", "--adapter DIR");
    }

    [Test]
    public void ARunIsResumedInTheSameFormOnly()
    {
        string[] run = Finetune("--save-every", "1", "--quantize", "nf4", "--adapter", "qpissa", "--rank", "2");
        CommandLine.Run(run).Succeeded();
        double expected = Loss(Model, "--adapter", Out, "--quantize", "nf4");
        CommandLine.Run([.. run, "--steps", "3", "--resume"]).Succeeded();
        Assert.That(Loss(Model, "--adapter", Out, "--quantize", "nf4"), Is.Not.EqualTo(expected));
        string[] other = Finetune("--save-every", "1", "--quantize", "int8", "--adapter", "qpissa", "--rank", "2");
        CommandLine.Run([.. other, "--steps", "4", "--resume"]).Refused(2, "--quantize", "nf4");
    }

    [Test]
    public void TripletsAreThoseOfTheRoundedWeights()
    {
        string[] svd = ["svd", "--rank", "4", "--device", "cpu", "--tensor", "model.layers.1.mlp.up_proj.weight"];
        CommandLine.Run([.. svd, "--model", Model, "--quantize", "int8", "--out", At("a.safetensors")]).Succeeded();
        CommandLine.Run([.. svd, "--model", Rounded("int8"), "--out", At("b.safetensors")]).Succeeded();
        using var first = SafetensorsFile.Open(At("a.safetensors"));
        using var second = SafetensorsFile.Open(At("b.safetensors"));
        const string Values = "model.layers.1.mlp.up_proj.weight.S";
        float[] expected = second[Values].ToFloats();
        Assert.That(first[Values].ToFloats(), Is.EqualTo(expected).Within(1e-6f * expected[0]));
    }

    [Test]
    public void ThePlanCountsFewerBytes()
    {
        JsonElement wide = Plan();
        JsonElement narrow = Plan("--quantize", "nf4");
        Assert.That(
            Peak(wide) - Peak(narrow),
            Is.GreaterThan(20_000).And.LessThan(60_000),
            "two layers of 8,704 weights at 32 bits, less 4.5 and tables"
        );

        static long Peak(JsonElement plan) => plan.GetProperty("parts").GetProperty("weights").GetInt64();
        JsonElement Plan(params string[] more) =>
            CommandLine.Run(["plan", "--model", Model, "--device", "cpu", "--json", .. more]).Succeeded().Json;
    }

    [Test]
    public void BadInputIsRefusedInOneLine()
    {
        string[] eval = ["eval", "--model", Model, "--data", Data, "--device", "cpu"];
        Refused([.. eval, "--quantize", "nf5"], "--quantize", "nf5", "nf4");
        Refused([.. eval, "--double-quantize"], "--double-quantize", "--quantize nf4");
        Refused([.. eval, "--quantize", "int8", "--double-quantize"], "--double-quantize", "not int8");
        Refused(Finetune("--adapter", "loftq"), "loftq", "--quantize");
        string weights = Path.Combine(Model, "model.safetensors");
        Refused(
            ["svd", "--file", weights, "--rank", "2", "--out", At("s"), "--quantize", "nf4"],
            "--quantize nf4",
            "--model DIR"
        );
        Refused(
            ["merge", "--model", Model, "--method", "linear", "--input", Model, "--out", Out, "--quantize", "nf4"],
            "--quantize nf4",
            "--adapter DIR"
        );
    }

    private double Loss(string model, params string[] more) =>
        CommandLine
            .Run(["eval", "--model", model, "--data", Data, "--device", "cpu", "--json", .. more])
            .Succeeded()
            .Json.GetProperty("loss")
            .GetDouble();

    /// <summary>Writes the model with its linear layers rounded by the definitions, in F32.</summary>
    private string Rounded(string format)
    {
        string directory = Directory.CreateDirectory(At("rounded")).FullName;
        TinyModel.WriteConfigAndTokenizer(directory);
        using var file = SafetensorsFile.Open(Path.Combine(Model, "model.safetensors"));
        SafetensorsWriter.Write(
            Path.Combine(directory, "model.safetensors"),
            [
                .. file.Tensors.Values.Select(tensor =>
                {
                    float[] values = tensor.ToFloats();
                    if (tensor.Name.EndsWith("_proj.weight", StringComparison.Ordinal))
                        values = ReferenceQuantization.Round(values, (int)tensor.Shape[1], format);
                    return TensorToWrite.Floats(tensor.Name, StoredType.F32, tensor.Shape, () => values);
                }),
            ]
        );
        return directory;
    }
}
