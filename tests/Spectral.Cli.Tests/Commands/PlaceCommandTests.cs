using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Placement;

namespace Spectral.Cli.Tests.Commands;

/// <summary><c>spectral place</c>: what it prints and writes, what finetune makes of it, and what is refused.</summary>
public sealed class PlaceCommandTests : WorkFolder
{
    private string Ranks => At("ranks.txt");

    [Test]
    public void FinetuneTakesWhatPlaceWrites()
    {
        JsonElement placed = CommandLine
            .Run([.. Place("gist"), "--data", Data, "--rank", "2", "--budget", "9", "--out", Ranks, "--json"])
            .Succeeded()
            .Json;
        var ranks = placed
            .GetProperty("modules")
            .EnumerateArray()
            .ToDictionary(
                module => module.GetProperty("name").GetString()!,
                module => module.GetProperty("rank").GetInt32()
            );
        Assert.That(ranks.Values.Sum(), Is.EqualTo(9));
        Assert.That(placed.GetProperty("out").GetString(), Is.EqualTo(Ranks));
        string[] lines = File.ReadAllLines(Ranks);
        Assert.That(lines[0], Does.StartWith("# spectral place --method gist --rank 2"));
        Assert.That(lines[1..], Is.EqualTo(ranks.Select(pair => $"{pair.Key}={pair.Value}")));
        JsonElement trained = CommandLine
            .Run(Finetune("--adapter", "lora", "--rank", "2", "--rank-pattern", $"@{Ranks}", "--json"))
            .Succeeded()
            .Json;
        Assert.That(
            trained.GetProperty("trainable_parameters").GetInt64(),
            Is.EqualTo(placed.GetProperty("trainable_parameters").GetInt64())
        );
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(Out, "adapter_config.json")));
        Assert.That(
            config.RootElement.GetProperty("target_modules").EnumerateArray().Select(name => name.GetString()),
            Is.EqualTo(ranks.Where(pair => pair.Value > 0).Select(pair => pair.Key))
        );
        // The run has the ranks of the file, wherever they came from, and resumes with no other ones.
        string[] entries = [.. ranks.Select(pair => $"{pair.Key}={pair.Value}")];
        string[] resumed = Finetune("--adapter", "lora", "--rank", "2", "--resume", "--steps", "3");
        CommandLine.Run([.. resumed, "--rank-pattern", string.Join(',', entries)]).Succeeded();
        File.WriteAllLines(Ranks, entries[..^1].Append(entries[^1] + "1"));
        CommandLine.Run([.. resumed, "--rank-pattern", $"@{Ranks}"]).Refused(2, "--rank-pattern");
    }

    /// <summary>The second stratum of spafit: a run that trains its biases, with the LoRA of the third.</summary>
    [Test]
    public void FinetuneTrainsTheBiasesThatPlaceWrites()
    {
        string[] place = ["place", "--method", "spafit", "--model", Model, "--rank", "2"];
        TinyModel.Deepen(Model, biases: false);
        Refused([.. place, "--bias-out", At("biases.txt")], "--bias-out", "expected a model with biases");
        TinyModel.Deepen(Model, biases: true);
        JsonElement placed = CommandLine
            .Run([.. place, "--out", Ranks, "--bias-out", At("biases.txt"), "--json"])
            .Succeeded()
            .Json;
        string[] biases =
        [
            .. placed
                .GetProperty("modules")
                .EnumerateArray()
                .Where(module => module.GetProperty("trains_bias").GetBoolean())
                .Select(module => module.GetProperty("name").GetString()!),
        ];
        Assert.That(biases, Has.Some.Contains("layers.1.self_attn").And.Some.Contains("layers.2.mlp"));
        Assert.That(File.ReadAllLines(At("biases.txt"))[1..], Is.EqualTo(biases));
        string[] tune = Finetune(
            "--adapter",
            "lora",
            "--rank",
            "2",
            "--rank-pattern",
            $"@{Ranks}",
            "--bias",
            $"@{At("biases.txt")}"
        );
        JsonElement trained = CommandLine.Run([.. tune, "--json"]).Succeeded().Json;
        Assert.That(
            trained.GetProperty("trainable_parameters").GetInt64(),
            Is.EqualTo(placed.GetProperty("trainable_parameters").GetInt64())
        );
        using var file = SafetensorsFile.Open(Path.Combine(Out, "adapter_model.safetensors"));
        Assert.That(
            file.Tensors.Keys.Where(name => name.EndsWith(".bias", StringComparison.Ordinal)),
            Is.EquivalentTo(biases.Select(name => $"base_model.model.{name}.bias"))
        );
        string[] longer = [.. tune, "--resume", "--steps", "3"];
        CommandLine.Run(longer).Succeeded();
        Outcome evaluated = CommandLine
            .Run("eval", "--model", Model, "--adapter", Out, "--data", Data, "--device", "cpu")
            .Succeeded();
        Assert.That(evaluated.Error, Does.Not.Contain("biases"), "no warning: the file has those that trained");
        Refused([.. Place("rdp"), "--data", Data, "--bias-out", At("other.txt")], "--bias-out", "places no biases");
    }

    [Test]
    public void TheTableSaysWhatEachLayerGets()
    {
        string table = CommandLine.Run([.. Place("spt"), "--data", Data, "--budget", "300"]).Succeeded().Output;
        Assert.That(
            table,
            Does.Contain("model.layers.1.mlp.down_proj")
                .And.Contain("single weights")
                .And.Contain("score: sensitive weights")
                .And.Contain("trainable parameters")
        );
        Assert.That(
            CommandLine.Run("place", "--method", "tap-slf", "--model", Model).Succeeded().Output,
            Does.Contain("7 of 14 layers get an adapter")
        );
    }

    [Test]
    public void ASearchNamesItsAdapterAndKeepsItsRuns()
    {
        string runs = At("runs.json");
        string[] search =
        [
            .. Place("search"),
            "--data",
            Data,
            "--adapters",
            "lora,pissa",
            "--budget",
            "4",
            "--set",
            "steps=1",
            "--results",
            runs,
            "--json",
        ];
        JsonElement placed = CommandLine.Run(search).Succeeded().Json;
        Assert.That(placed.GetProperty("adapter").GetString(), Is.AnyOf("lora", "pissa"));
        byte[] kept = File.ReadAllBytes(runs);
        Outcome again = CommandLine.Run(search).Succeeded();
        Assert.That(again.Json.ToString(), Is.EqualTo(placed.ToString()));
        Assert.That(again.Error, Does.Contain("run 4 of 4"));
        Assert.That(File.ReadAllBytes(runs), Is.EqualTo(kept));
        Refused([.. search, "--adapters", "lora,nothing"], "nothing");
        Refused([.. search, "--set", "seed=3"], "runs.json", "another seed");
    }

    [Test]
    public void TheListNamesEveryMethod()
    {
        JsonElement list = CommandLine.Run("place", "--list", "--json").Succeeded().Json.GetProperty("methods");
        Assert.That(
            list.EnumerateArray().Select(method => method.GetProperty("name").GetString()),
            Is.EqualTo(PlacementMethods.All.Select(method => method.Name))
        );
        Assert.That(
            CommandLine.Run("place", "--list", "--method", "spafit").Succeeded().Output,
            Does.Contain("--set").And.Contain("frozen").And.Contain("attention|all")
        );
    }

    [Test]
    public void MistakesAreNamed()
    {
        string[] last = ["place", "--method", "tap-slf", "--model", Model];
        Refused(["place", "--model", Model], "--method");
        Refused([.. last, "--data", Data], "--data", "does not run the model");
        Refused([.. last, "--budget", "3"], "--budget", "no budget");
        Refused([.. last, "--set", "frozen=1"], "frozen", "layers");
        Refused([.. last, "--out", Data], "--out", "exists");
        Refused(Place("rdp"), "--data");
        Refused([.. Place("rdp"), "--data", Data, "--eval", Data], "--eval");
        File.WriteAllText(Ranks, "# none\n");
        Refused(Finetune("--adapter", "lora", "--rank-pattern", $"@{Ranks}"), "--rank-pattern", "entries in the file");
        File.WriteAllText(Ranks, "q_proj=1\nv_proj\n");
        Refused(Finetune("--adapter", "lora", "--rank-pattern", $"@{Ranks}"), "--rank-pattern", "not \"v_proj\"");
    }

    private string[] Place(string method) =>
        ["place", "--method", method, "--model", Model, "--batch", "4", "--device", "cpu"];
}
