using System.Runtime.InteropServices;
using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Tests.Commands;

/// <summary>Tests `spectral analyze` as a process: results, files and errors.</summary>
public sealed class AnalyzeCommandTests : WorkFolder
{
    private string Tuned => At("tuned");

    private string Page => At("spectra.html");

    private string Table => At("spectra.csv");

    private string[] Analyze(params string[] more) =>
        ["analyze", "--base", Model, "--out", Page, "--device", "cpu", "--draws", "2", .. more];

    [Test]
    public void ATunedModelBesideItsBase()
    {
        TinyModel.Create(Tuned, seed: 2);
        JsonElement result = CommandLine.Run(Analyze("--tuned", Tuned, "--csv", Table, "--json")).Succeeded().Json;
        JsonElement[] matrices = [.. result.GetProperty("matrices").EnumerateArray()];
        Assert.That(matrices, Has.Length.EqualTo(7 * TinyModel.Layers));
        Assert.That(result.GetProperty("tuned").GetString(), Is.EqualTo(Tuned));
        Assert.That(result.GetProperty("adapter").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(
            result.GetProperty("modules").EnumerateArray().Select(module => module.GetProperty("module").GetString()),
            Is.EqualTo(new[] { "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj" })
        );
        Assert.That(
            result.GetProperty("layers").EnumerateArray().Select(layer => layer.GetProperty("layer").GetInt32()),
            Is.EqualTo(new[] { 0, 1 })
        );
        JsonElement query = matrices[0];
        Assert.That(query.GetProperty("name").GetString(), Is.EqualTo("model.layers.0.self_attn.q_proj.weight"));
        Assert.That((query.GetProperty("out").GetInt32(), query.GetProperty("in").GetInt32()), Is.EqualTo((32, 32)));
        Assert.That(query.GetProperty("values").GetProperty("relative").GetArrayLength(), Is.EqualTo(32));
        Assert.That(query.GetProperty("null").GetProperty("draws").GetInt32(), Is.EqualTo(2));
        Assert.That(query.GetProperty("verdict").GetProperty("lines").GetArrayLength(), Is.EqualTo(3));

        string[] lines = File.ReadAllLines(Table);
        Assert.That(lines, Has.Length.EqualTo(1 + matrices.Length));
        Assert.That(lines.Select(line => line.Split(',').Length).Distinct().Count(), Is.EqualTo(1));
        string[] heads = lines[0].Split(',');
        string[] fields = lines[1].Split(',');
        Assert.That(fields[0], Is.EqualTo("model.layers.0.self_attn.q_proj.weight"));
        Assert.That(
            double.Parse(
                fields[Array.IndexOf(heads, "relative_change")],
                System.Globalization.CultureInfo.InvariantCulture
            ),
            Is.EqualTo(query.GetProperty("norms").GetProperty("relative").GetDouble()).Within(1e-12)
        );
        Assert.That(
            File.ReadAllText(Page),
            Does.Contain("model.layers.1.mlp.down_proj.weight").And.EndsWith("</html>\n")
        );
    }

    [Test]
    public void AnAdapterChangesItsTargetsAlone()
    {
        CommandLine.Run(Finetune("--target", "q_proj,down_proj", "--lr", "0.05")).Succeeded();
        JsonElement result = CommandLine.Run(Analyze("--adapter", Out, "--json")).Succeeded().Json;
        foreach (JsonElement matrix in result.GetProperty("matrices").EnumerateArray())
        {
            bool adapted = matrix.GetProperty("module").GetString() is "q_proj" or "down_proj";
            Assert.That(
                matrix.GetProperty("verdict").GetProperty("unchanged").GetBoolean(),
                Is.EqualTo(!adapted),
                matrix.GetProperty("name").GetString()
            );
            Assert.That(
                matrix.GetProperty("norms").GetProperty("change").GetDouble(),
                adapted ? Is.GreaterThan(0) : Is.Zero
            );
        }
        Assert.That(result.GetProperty("model").GetProperty("unchanged").GetInt32(), Is.EqualTo(5 * TinyModel.Layers));
    }

    [Test]
    public void TheMaskOfASpecLoraAdapter()
    {
        // Without a low-rank part, the singular values change by what the mask says.
        CommandLine
            .Run(
                Finetune("--adapter", "speclora", "--rank", "0", "--top-k", "3", "--target", "up_proj", "--lr", "0.05")
            )
            .Succeeded();
        JsonElement matrix = CommandLine
            .Run(Analyze("--adapter", Out, "--target", "up_proj", "--json"))
            .Succeeded()
            .Json.GetProperty("matrices")[0];
        JsonElement mask = matrix.GetProperty("mask");
        double[] factors = [.. mask.GetProperty("factors").EnumerateArray().Select(value => value.GetDouble())];
        Assert.That(factors, Has.Length.EqualTo(3).And.None.EqualTo(1));
        Assert.That(mask.GetProperty("mean").GetDouble(), Is.EqualTo(factors.Average()).Within(1e-9));
        Assert.That(
            (mask.GetProperty("least").GetDouble(), mask.GetProperty("largest").GetDouble()),
            Is.EqualTo((factors.Min(), factors.Max()))
        );
        // Scaled values may change their order, so sums are compared; weights and factors are F32.
        Assert.That(
            mask.GetProperty("changes").EnumerateArray().Sum(value => value.GetDouble()),
            Is.EqualTo(
                    matrix.GetProperty("values").GetProperty("change").EnumerateArray().Sum(value => value.GetDouble())
                )
                .Within(1e-5)
        );
    }

    [Test]
    public void AnAdapterOnTheTunedModelCountsWithIt()
    {
        CommandLine.Run(Finetune("--target", "q_proj", "--lr", "0.05")).Succeeded();
        CommandLine.Run("merge", "--model", Model, "--adapter", Out, "--out", Tuned, "--device", "cpu").Succeeded();
        string[] settings = ["--target", "q_proj,k_proj", "--draws", "0", "--overwrite", "--json"];
        double Norm(string[] inputs) =>
            CommandLine
                .Run(Analyze([.. inputs, .. settings]))
                .Succeeded()
                .Json.GetProperty("matrices")[0]
                .GetProperty("norms")
                .GetProperty("change")
                .GetDouble();
        // The adapter has the hash of the base. The merged model is another one, so the hash is removed for this test.
        TinyModel.Set(Path.Combine(Out, "adapter_config.json"), "base_tensor_sha256", null);
        double merged = Norm(["--tuned", Tuned]);
        double adapted = Norm(["--adapter", Out]);
        double both = Norm(["--tuned", Tuned, "--adapter", Out]);
        Assert.That(merged, Is.EqualTo(adapted).Within(1e-6 * adapted));
        Assert.That(both, Is.EqualTo(2 * adapted).Within(1e-5 * adapted));
    }

    [TestCase("1")]
    [TestCase("0.5")]
    public void AMitigatedAdapterIsTheMergedModelWithItsIntrudersScaled(string factor)
    {
        CommandLine.Run(Finetune("--target", "q_proj", "--lr", "0.05")).Succeeded();
        string merged = At("merged");
        CommandLine.Run("merge", "--model", Model, "--adapter", Out, "--out", merged, "--device", "cpu").Succeeded();
        // Every vector is below a |cos| of 1, so all of W1 = W + ΔW is multiplied by the factor.
        string[] all = ["--mitigate-below", "1", "--mitigate-first", "32", "--mitigate-factor", factor];
        JsonElement result = CommandLine
            .Run(Analyze(["--adapter", Out, "--target", "q_proj", "--mitigate", Tuned, "--json", .. all]))
            .Succeeded()
            .Json.GetProperty("mitigation");
        double scale = double.Parse(factor, System.Globalization.CultureInfo.InvariantCulture);
        Assert.That(result.GetProperty("out").GetString(), Is.EqualTo(Tuned));
        Assert.That(result.GetProperty("settings").GetProperty("factor").GetDouble(), Is.EqualTo(scale));
        Assert.That(result.GetProperty("vectors").GetInt32(), Is.EqualTo(32 * TinyModel.Layers));
        Assert.That(result.GetProperty("matrices").GetArrayLength(), Is.EqualTo(TinyModel.Layers));
        using var expected = ModelFolder.Open(merged);
        using var written = ModelFolder.Open(Tuned);
        Assert.That(written.TensorNames, Is.EquivalentTo(expected.TensorNames));
        foreach (string name in expected.TensorNames)
        {
            float times = name.Contains("q_proj.weight") ? (float)scale : 1;
            Assert.That(
                written[name].ToFloats(),
                Is.EqualTo(expected[name].ToFloats().Select(value => times * value)).Within(1e-6f),
                name
            );
        }
        Assert.That(
            File.ReadAllText(Page),
            Does.Contain("Mitigated: 64 intruder dimensions were scaled by").And.Contain("in 2 of 2 matrices")
        );
    }

    [Test]
    public void ThePrincipalPartOfAllItsEnergyIsTheMergedAdapter()
    {
        CommandLine.Run(Finetune("--target", "q_proj", "--lr", "0.05")).Succeeded();
        string merged = At("merged");
        CommandLine.Run("merge", "--model", Model, "--adapter", Out, "--out", merged, "--device", "cpu").Succeeded();
        string[] settings = ["--target", "q_proj", "--principal", Tuned, "--principal-energy", "1", "--json"];
        JsonElement result = CommandLine
            .Run(Analyze(["--adapter", Out, .. settings]))
            .Succeeded()
            .Json.GetProperty("principal");
        Assert.That(result.GetProperty("matrices").GetArrayLength(), Is.EqualTo(TinyModel.Layers));
        using var expected = ModelFolder.Open(merged);
        using var written = ModelFolder.Open(Tuned);
        foreach (string name in expected.TensorNames)
            Assert.That(written[name].ToFloats(), Is.EqualTo(expected[name].ToFloats()).Within(1e-6f), name);

        string[] both = ["--principal", At("cut"), "--principal-energy", "0.5", "--principal-rank", "2"];
        Refused(Analyze(["--adapter", Out, "--overwrite", .. both]), "--principal-energy 0.5", "--principal-rank 2");
        Refused(Analyze("--adapter", Out, "--overwrite", "--principal-rank", "2"), "--principal DIR");
    }

    [Test]
    public void RefusesAMitigationThatCannotBeWritten()
    {
        Refused(Analyze("--tuned", Model, "--mitigate", Model, "--overwrite"), "--mitigate", "read by this command");
        Refused(Analyze("--tuned", Model, "--mitigate-factor", "0.5"), "--mitigate-factor 0.5", "--mitigate DIR");
        Refused(
            Analyze("--tuned", Model, "--mitigate", Tuned, "--mitigate-factor", "2"),
            "--mitigate-factor",
            "0 to 1"
        );
        Refused(
            Analyze("--tuned", Model, "--mitigate", Tuned, "--svd", "randomized", "--rank", "4"),
            "q_proj.weight",
            "exact"
        );
    }

    [Test]
    public void ARankOneAdapterIsTracedTokenByToken()
    {
        CommandLine
            .Run(Finetune("--adapter", "lora", "--target", "q_proj,down_proj", "--rank", "1", "--lr", "0.05"))
            .Succeeded();
        string[] settings = ["--trace", Data, "--trace-records", "2", "--json", "--target", "q_proj"];
        JsonElement trace = CommandLine
            .Run(Analyze(["--adapter", Out, .. settings]))
            .Succeeded()
            .Json.GetProperty("trace");
        Assert.That(trace.GetProperty("modules").GetArrayLength(), Is.EqualTo(2 * TinyModel.Layers));
        Assert.That(trace.GetProperty("skipped").GetArrayLength(), Is.Zero);
        JsonElement[] records = [.. trace.GetProperty("records").EnumerateArray()];
        Assert.That(records, Has.Length.EqualTo(2));
        foreach (JsonElement record in records)
        {
            int tokens = record.GetProperty("tokens").GetArrayLength();
            Assert.That(tokens, Is.GreaterThan(2));
            Assert.That(
                record.GetProperty("values").EnumerateArray().Select(values => values.GetArrayLength()),
                Is.All.EqualTo(tokens).And.Exactly(2 * TinyModel.Layers).Items
            );
        }
        string text = string.Concat(
            records[0].GetProperty("tokens").EnumerateArray().Select(token => token.GetString())
        );
        string prompt = JsonDocument.Parse(File.ReadLines(Data).First()).RootElement.GetProperty("prompt").GetString()!;
        Assert.That(text, Does.Contain(prompt.Trim()));
    }

    [Test]
    public void RefusesATraceWithoutAnAdapterOfRankOne()
    {
        Refused(Analyze("--tuned", Model, "--trace", Data), "--trace", "--adapter DIR");
        Refused(Analyze("--tuned", Model, "--trace-records", "3"), "--trace-records 3", "--trace FILE");
        CommandLine.Run(Finetune("--adapter", "lora", "--target", "q_proj", "--rank", "2")).Succeeded();
        Refused(Analyze("--adapter", Out, "--trace", Data), Out, "rank 1");
    }

    [Test]
    public void ForgettingIsTheLossOfEachKeptCheckpointOnOldData()
    {
        string old = TinyModel.WriteData(At("old.jsonl"), 6);
        string[] kept = ["--target", "q_proj", "--lr", "0.02", "--steps", "8", "--save-every", "2"];
        CommandLine.Run(Finetune([.. kept, "--keep-checkpoints"])).Succeeded();
        string[] settings = ["--forgetting", old, "--forgetting-task", Data, "--target", "q_proj", "--json"];
        JsonElement forgetting = CommandLine
            .Run(Analyze(["--adapter", Out, .. settings]))
            .Succeeded()
            .Json.GetProperty("forgetting");
        JsonElement curve = forgetting.GetProperty("curve");
        double before = Loss(old, []);
        Assert.That(curve.GetProperty("base_loss").GetDouble(), Is.EqualTo(before).Within(1e-5));
        JsonElement[] points = [.. curve.GetProperty("points").EnumerateArray()];
        Assert.That(points.Select(point => point.GetProperty("step").GetInt32()), Is.EqualTo(new[] { 2, 4, 6, 8 }));
        foreach (JsonElement point in points)
        {
            string adapter = Path.Combine(Out, "checkpoints", $"step-{point.GetProperty("step").GetInt32():000000}");
            double loss = Loss(old, ["--adapter", adapter]);
            Assert.That(point.GetProperty("loss").GetDouble(), Is.EqualTo(loss).Within(1e-5));
            Assert.That(point.GetProperty("forgetting").GetDouble(), Is.EqualTo(loss - before).Within(1e-5));
            Assert.That(
                point.GetProperty("task_loss").GetDouble(),
                Is.EqualTo(Loss(Data, ["--adapter", adapter])).Within(1e-5)
            );
        }
        double[] updates = [.. points.Select(point => point.GetProperty("update").GetDouble())];
        Assert.That(updates, Is.Ordered.And.All.GreaterThan(0), "each step goes further in eight steps");
        Assert.That(
            curve.GetProperty("laws").EnumerateArray().Select(law => law.GetProperty("name").GetString()),
            Is.EqualTo(new[] { "steps", "update", "task" })
        );
        Assert.That(File.ReadAllText(Page), Does.Contain("forgetting-update").And.Contain("Laws of forgetting"));
        Assert.That(
            File.ReadAllBytes(Path.Combine(Out, "checkpoints", "step-000008", "adapter_model.safetensors")),
            Is.EqualTo(File.ReadAllBytes(Path.Combine(Out, "adapter_model.safetensors")))
        );

        // A new run in the folder removes the old one's checkpoints.
        CommandLine.Run(Finetune("--target", "q_proj", "--overwrite")).Succeeded();
        Assert.That(Directory.Exists(Path.Combine(Out, "checkpoints")), Is.False);
        Refused(Analyze("--adapter", Out, "--forgetting", old, "--overwrite"), "--forgetting", "--keep-checkpoints");

        double Loss(string data, string[] adapter) =>
            CommandLine
                .Run(["eval", "--model", Model, "--data", data, "--device", "cpu", "--json", .. adapter])
                .Succeeded()
                .Json.GetProperty("loss")
                .GetDouble();
    }

    [Test]
    public void EqualModelsAreUnchanged()
    {
        Outcome outcome = CommandLine.Run(Analyze("--tuned", Model, "--json")).Succeeded();
        foreach (JsonElement matrix in outcome.Json.GetProperty("matrices").EnumerateArray())
        {
            Assert.That(
                matrix.GetProperty("verdict").GetProperty("lines").EnumerateArray().Select(line => line.GetString()),
                Is.EqualTo(new[] { "unchanged" })
            );
            Assert.That(
                matrix.GetProperty("values").GetProperty("change").EnumerateArray().Select(value => value.GetDouble()),
                Is.All.Zero
            );
        }
    }

    [Test]
    public void SameResultWithAnyNumberOfThreads()
    {
        TinyModel.Create(Tuned, seed: 2);
        string one = CommandLine
            .Run(Analyze("--tuned", Tuned, "--csv", Table, "--threads", "1", "--json"))
            .Succeeded()
            .Output;
        (string page, string table) = (File.ReadAllText(Page), File.ReadAllText(Table));
        string two = CommandLine
            .Run(Analyze("--tuned", Tuned, "--csv", Table, "--threads", "2", "--overwrite", "--json"))
            .Succeeded()
            .Output;
        Assert.That(WithoutDevice(two), Is.EqualTo(WithoutDevice(one)));
        Assert.That(File.ReadAllText(Table), Is.EqualTo(table));
        Assert.That(WithoutDevice(File.ReadAllText(Page)), Is.EqualTo(WithoutDevice(page)));

        string other = CommandLine
            .Run(Analyze("--tuned", Tuned, "--seed", "1", "--overwrite", "--json"))
            .Succeeded()
            .Output;
        Assert.That(
            other.Split("\"z\":")[1],
            Is.Not.EqualTo(one.Split("\"z\":")[1]),
            "another seed draws other updates"
        );

        // The device has the number of threads in its name.
        static string WithoutDevice(string text) =>
            text.Replace("1 threads", "").Replace("2 threads", "").Replace("1 thread", "");
    }

    [Test]
    public void RandomizedResultsAreMarkedTruncated()
    {
        TinyModel.Create(Tuned, seed: 2);
        JsonElement matrix = CommandLine
            .Run(Analyze("--tuned", Tuned, "--svd", "randomized", "--rank", "4", "--target", "up_proj", "--json"))
            .Succeeded()
            .Json.GetProperty("matrices")[0];
        Assert.That(matrix.GetProperty("svd").GetProperty("method").GetString(), Is.EqualTo("randomized"));
        Assert.That(matrix.GetProperty("intruders").GetProperty("truncated_search").GetBoolean(), Is.True);
        Assert.That(matrix.GetProperty("values").GetProperty("base").GetArrayLength(), Is.EqualTo(4));
        Assert.That(matrix.GetProperty("svd").GetProperty("base_errors").GetArrayLength(), Is.EqualTo(4));
    }

    [Test]
    public void RoundedToBf16ADifferenceBelowItVanishes()
    {
        // The lowest bit of one weight, which BF16 does not keep.
        WriteTuned(
            (name, values) =>
                values[5] = name == "model.layers.1.mlp.up_proj.weight" ? MathF.BitIncrement(values[5]) : values[5]
        );
        foreach ((string type, int unchanged) in new[] { ("auto", 13), ("bf16", 14) })
        {
            Assert.That(
                CommandLine
                    .Run(Analyze("--tuned", Tuned, "--dtype", type, "--overwrite", "--json"))
                    .Succeeded()
                    .Json.GetProperty("model")
                    .GetProperty("unchanged")
                    .GetInt32(),
                Is.EqualTo(unchanged),
                type
            );
        }
    }

    [Test]
    public void PeopleReadALinePerModule() =>
        Assert.That(
            CommandLine.Run(Analyze("--tuned", Model)).Succeeded().Output,
            Does.Contain("q_proj ").And.Contain("all ").And.Contain($"written to {Page}")
        );

    [Test]
    public void RefusesBadOptions()
    {
        Refused(Analyze(), "--tuned DIR, --adapter DIR", "at least one");
        Refused(Analyze("--tuned", Model, "--draws", "1"), "--draws");
        Refused(Analyze("--tuned", Model, "--ranks", "1,x"), "--ranks \"1,x\"", "n/4");
        Refused(Analyze("--tuned", Model, "--ranks", "0"), "--ranks \"0\"");
        Refused(Analyze("--tuned", Model, "--target", "q_proj,nothing"), "nothing", "matches no layer");
        Refused(Analyze("--tuned", Model, "--rank", "1"), "--rank \"1\"");
        Refused(Analyze("--tuned", At("absent")), "absent");
    }

    [Test]
    public void RefusesOutputsThatExist()
    {
        File.WriteAllText(Page, "mine");
        Refused(Analyze("--tuned", Model), "--out", "exists");
        Assert.That(File.ReadAllText(Page), Is.EqualTo("mine"));
        File.Delete(Page);
        File.WriteAllText(Table, "mine");
        Refused(Analyze("--tuned", Model, "--csv", Table), "--csv", "exists");
        Refused(Analyze("--tuned", Model, "--csv", Page), "--csv", Page);
        CommandLine.Run(Analyze("--tuned", Model, "--csv", Table, "--overwrite")).Succeeded();
        Assert.That(File.ReadAllText(Table), Does.StartWith("name,"));
    }

    [Test]
    public void RefusesModelsOfOtherShapes()
    {
        const int Narrower = 40;
        TinyModel.WriteConfigAndTokenizer(Tuned);
        TinyModel.Set(Path.Combine(Tuned, "config.json"), "intermediate_size", Narrower);
        SafetensorsWriter.Write(
            Path.Combine(Tuned, "model.safetensors"),
            [
                .. TinyModel
                    .Tensors()
                    .Select(tensor =>
                    {
                        long[] shape =
                        [
                            .. tensor.Shape.Select(size => size == TinyModel.Intermediate ? Narrower : size),
                        ];
                        return TensorToWrite.Floats(
                            tensor.Name,
                            StoredType.F32,
                            shape,
                            () => new float[shape.Aggregate(1L, (product, size) => product * size)]
                        );
                    }),
            ]
        );
        Refused(Analyze("--tuned", Tuned), "model.layers.0.mlp.gate_proj.weight", "[40, 32]", "[48, 32]");
    }

    [Test]
    public void RefusesWeightsThatAreNotFinite()
    {
        WriteTuned(
            (name, values) => values[33] = name == "model.layers.0.self_attn.o_proj.weight" ? float.NaN : values[33]
        );
        Refused(Analyze("--tuned", Tuned), "model.layers.0.self_attn.o_proj.weight", "NaN at [1, 1]", "finite");
    }

    /// <summary>Writes the base model with changed weights.</summary>
    private void WriteTuned(Action<string, float[]> change)
    {
        TinyModel.WriteConfigAndTokenizer(Tuned);
        using var model = ModelFolder.Open(Model);
        SafetensorsWriter.Write(
            Path.Combine(Tuned, "model.safetensors"),
            [
                .. model.TensorNames.Select(name =>
                {
                    float[] values = model[name].ToFloats();
                    if (values.Length > 33)
                        change(name, values);
                    // The weights are written as bytes, as the writer of floats refuses values that tests need.
                    return new TensorToWrite(
                        name,
                        StoredType.F32,
                        model[name].Shape,
                        stream => stream.Write(MemoryMarshal.AsBytes(values.AsSpan()))
                    );
                }),
            ]
        );
    }
}
