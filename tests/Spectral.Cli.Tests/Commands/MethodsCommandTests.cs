using System.Text.Json;
using Spectral.Cli.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Optim;

namespace Spectral.Cli.Tests.Commands;

/// <summary>
/// Tests `methods`: the list with what each method costs, one method in detail, and the settings of methods.
/// </summary>
public sealed class MethodsCommandTests : WorkFolder
{
    [Test]
    public void EveryMethodIsListedOverOneLayer()
    {
        JsonElement result = CommandLine.Run("methods", "--json").Succeeded().Json;
        JsonElement[] methods = [.. result.GetProperty("methods").EnumerateArray()];
        Assert.That(methods.Select(Name), Is.EqualTo(AdapterMethods.All.Select(method => method.Name)));
        Assert.That(methods.Select(Name), Is.SupersetOf(new[] { "lora", "speclora" }));
        JsonElement lora = methods.Single(method => Name(method) == "lora");
        Assert.That(lora.GetProperty("trainable_parameters").GetInt64(), Is.EqualTo(8 * (4096 + 4096)));
        Assert.That(
            lora.GetProperty("extra_forward").GetDouble(),
            Is.EqualTo(8 * 8192.0 / (4096.0 * 4096)).Within(1e-12)
        );
        Assert.That(lora.GetProperty("mergeable").GetBoolean() && lora.GetProperty("plain_lora").GetBoolean());
        Assert.That(lora.GetProperty("peft_type").GetString(), Is.EqualTo("LORA"));
        foreach (JsonElement method in methods)
            Assert.That(method.GetProperty("source").GetString(), Is.Not.Empty, Name(method));
    }

    [Test]
    public void CountsAreThoseOfTheModel()
    {
        JsonElement listed = CommandLine
            .Run("methods", "--model", Model, "--rank", "3", "--target", "q_proj,down_proj", "--json")
            .Succeeded()
            .Json;
        Assert.That(listed.GetProperty("layers").GetInt32(), Is.EqualTo(4));
        foreach (string name in new[] { "lora", "speclora" })
        {
            JsonElement trained = CommandLine
                .Run(
                    Finetune("--rank", "3", "--target", "q_proj,down_proj", "--adapter", name, "--overwrite", "--json")
                )
                .Succeeded()
                .Json;
            Assert.That(
                listed
                    .GetProperty("methods")
                    .EnumerateArray()
                    .Single(method => Name(method) == name)
                    .GetProperty("trainable_parameters")
                    .GetInt64(),
                Is.EqualTo(trained.GetProperty("trainable_parameters").GetInt64()),
                name
            );
        }
    }

    [Test]
    public void ForPeopleThereAreATableAndASheet()
    {
        string table = CommandLine.Run("methods").Succeeded().Output;
        Assert.That(
            table,
            Does.Match(@"^name +trainable +extra forward +mergeable +PEFT name +source\n")
                .And.Match(@"\nlora +65,536 +0\.391 % +yes +LORA +Hu et al\.")
        );
        string sheet = CommandLine.Run("methods", "--adapter", "speclora").Succeeded().Output;
        Assert.That(
            sheet,
            Does.StartWith("speclora: after speclora (arXiv 2505.23099); form as implemented: W + "),
            "what is reconstructed says so"
        );
        foreach (string field in new[] { "use ", "source ", "trains ", "extra forward ", "mergeable ", "PEFT name " })
            Assert.That(sheet, Does.Contain("\n" + field));
    }

    [Test]
    public void OptimizersAreListedWithTheirMemory()
    {
        JsonElement[] listed =
        [
            .. CommandLine
                .Run("methods", "--optimizers", "--json")
                .Succeeded()
                .Json.GetProperty("optimizers")
                .EnumerateArray(),
        ];
        Assert.That(listed.Select(Name), Is.EqualTo(OptimizerMethods.All.Select(method => method.Name)));
        JsonElement adamW = listed.Single(optimizer => Name(optimizer) == "adamw");
        Assert.That(adamW.GetProperty("bytes_per_parameter").GetDouble(), Is.EqualTo(8));
        string table = CommandLine.Run("methods", "--optimizers").Succeeded().Output;
        Assert.That(
            table,
            Does.StartWith("name ").And.Match(@"\nsgd +4 +--weight-decay --grad-clip --clip-groups optimizer.momentum")
        );
        string sheet = CommandLine.Run("methods", "--optimizers", "sgd").Succeeded().Output;
        Assert.That(
            sheet,
            Does.StartWith("sgd: m ← μm + g").And.Match(@"\nmomentum +0\.9 +a number from 0 to 0\.9999")
        );
        Refused(["methods", "--optimizers", "--alpha", "3"], "--alpha \"3\": --optimizers does not read it");
        Refused(["methods", "--optimizers", "sdg"], "--optimizers \"sdg\": expected one of ");
    }

    [Test]
    public void OptionsThatSuitNotAllAreNotedInTheTable()
    {
        Assert.That(
            CommandLine.Run("methods", "--rank", "0").Succeeded().Output,
            Does.Match(@"\nlora +– +– +– +LORA +not with these options: rank 0")
        );
        Refused(["methods", "--rank", "0", "--adapter", "lora"], "lora", "rank 0");
    }

    [TestCaseSource(nameof(MethodsWithSettings))]
    public void SettingsAreShownAndChecked(string method)
    {
        string shown = CommandLine.Run("methods", "--adapter", method).Succeeded().Output;
        foreach (AdapterSetting setting in AdapterMethods.Find(method).Settings)
        {
            Assert.That(shown, Does.Match($@"\n{setting.Name} +\S+"));
            Refused(["methods", "--adapter", method, "--set", setting.Name + "=nonsense"], setting.Name, "expected");
        }
        Refused(["methods", "--adapter", method, "--set", "no-such-setting=1"], "no-such-setting", "expected");
    }

    [Test]
    public void BadUsageIsNamed()
    {
        Refused(["methods", "--adapter", "loora"], "--adapter \"loora\"", "lora, ", "speclora");
        Refused(["methods", "--adapter", "lora", "--set", "x=1"], "--set \"x=1\"", "expected one of the settings");
        Refused(["methods", "--set", "rank"], "--set \"rank\"", "NAME=VALUE");
        Refused(["methods", "--model", At("nowhere")], "nowhere");
        Refused(Finetune("--adapter", "lora", "--set", "x=1"), "--set \"x=1\"", "expected one of the settings");
    }

    private static string[] MethodsWithSettings() =>
        [.. AdapterMethods.All.Where(method => method.Settings.Count > 0).Select(method => method.Name)];

    private static string Name(JsonElement method) => method.GetProperty("name").GetString()!;
}
