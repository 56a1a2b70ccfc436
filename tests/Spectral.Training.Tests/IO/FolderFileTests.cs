using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.IO;

/// <summary>What stands in a model or adapter folder reaches no file outside it.</summary>
[Platform(Exclude = "Win", Reason = "symbolic links take rights there")]
public sealed class FolderFileTests : FolderTest
{
    private string Model => folder.File("model");

    private void WriteModel(bool sharded)
    {
        Directory.CreateDirectory(Model);
        File.WriteAllText(Path.Combine(Model, "config.json"), TinyModel.ConfigJson().ToJsonString());
        var config = ModelConfig.Load(Model);
        File.WriteAllText(Path.Combine(Model, "tokenizer.json"), TokenizerFiles.ByteFallback("abc").ToJsonString());
        SafetensorsWriter.Write(
            Path.Combine(Model, sharded ? "shard.safetensors" : "model.safetensors"),
            TinyModel.Tensors(config)
        );
        if (!sharded)
            return;
        JsonObject map = [];
        foreach (TensorSpec tensor in ModelTensors.For(config))
            map[tensor.Name] = "shard.safetensors";
        File.WriteAllText(
            Path.Combine(Model, "model.safetensors.index.json"),
            new JsonObject { ["weight_map"] = map }.ToJsonString()
        );
    }

    private void Open()
    {
        BpeTokenizer.Load(Model);
        ModelFolder.Open(Model).Dispose();
    }

    /// <summary>Moves a file of the model away and leaves a link to it.</summary>
    private string MoveOut(string name, string to, string link)
    {
        string target = folder.File(to);
        string file = Path.Combine(Model, name);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        File.Move(file, target);
        File.CreateSymbolicLink(file, link);
        return file;
    }

    [TestCase("config.json")]
    [TestCase("tokenizer.json")]
    [TestCase("model.safetensors")]
    public void FilesOutsideAreNotRead(string name)
    {
        WriteModel(sharded: false);
        string file = MoveOut(name, "secrets/file", "../secrets/file");
        Assert.That(
            Open,
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains(file)
                .And.Message.Contains("outside the folder")
                .And.Message.Contains("copy the file here")
        );
    }

    [TestCase("shard.safetensors")]
    [TestCase("model.safetensors.index.json")]
    public void ShardsAndIndicesOutsideAreNotRead(string name)
    {
        WriteModel(sharded: true);
        Assert.That(Open, Throws.Nothing);
        string file = MoveOut(name, "secrets/file", folder.File("secrets/file"));
        Assert.That(
            Open,
            Throws.TypeOf<InputException>().With.Message.Contains(file).And.Message.Contains("outside the folder")
        );
    }

    [TestCase("generation_config.json")]
    [TestCase("chat_template.jinja")]
    [TestCase("vocab.json")]
    public void WhatIsOnlyCopiedIsLookedAtBeforeTheWork(string name)
    {
        WriteModel(sharded: false);
        File.WriteAllText(folder.File("secret"), "{}");
        File.CreateSymbolicLink(Path.Combine(Model, name), "../secret");
        Assert.That(
            Open,
            Throws.TypeOf<InputException>().With.Message.Contains(name).And.Message.Contains("outside the folder")
        );
    }

    [TestCase("adapter_config.json")]
    [TestCase("adapter_model.safetensors")]
    public void AdapterFilesOutsideAreNotRead(string name)
    {
        AdapterFiles.Write(folder, AdapterFiles.PeftConfig(), AdapterFiles.LowRank(AdapterFiles.Module, 2));
        string inside = Directory.CreateDirectory(folder.File("adapter")).FullName;
        File.Move(folder.File("adapter_config.json"), Path.Combine(inside, "adapter_config.json"));
        File.Move(folder.File("adapter_model.safetensors"), Path.Combine(inside, "adapter_model.safetensors"));
        Assert.That(() => new AdapterReader(inside).Dispose(), Throws.Nothing);
        File.Move(Path.Combine(inside, name), folder.File("out"));
        File.CreateSymbolicLink(Path.Combine(inside, name), "../out");
        Assert.That(
            () => new AdapterReader(inside).Dispose(),
            Throws.TypeOf<InputException>().With.Message.Contains("outside the folder")
        );
    }

    [Test]
    public void LinksAreFollowedToTheirEnd()
    {
        WriteModel(sharded: false);
        // Inside by name, outside in truth: through a linked folder, and through a second link.
        Directory.CreateSymbolicLink(Path.Combine(Model, "sub"), "../secrets");
        MoveOut("config.json", "secrets/config", "sub/config");
        Assert.That(Open, Throws.TypeOf<InputException>().With.Message.Contains("outside the folder"));
        File.Delete(Path.Combine(Model, "config.json"));
        File.CreateSymbolicLink(Path.Combine(Model, "second"), folder.File("secrets/config"));
        File.CreateSymbolicLink(Path.Combine(Model, "config.json"), "second");
        Assert.That(Open, Throws.TypeOf<InputException>().With.Message.Contains("outside the folder"));
        File.Delete(Path.Combine(Model, "config.json"));
        File.CreateSymbolicLink(Path.Combine(Model, "config.json"), "config.json");
        Assert.That(Open, Throws.TypeOf<InputException>().With.Message.Contains("too many levels"));
    }

    [Test]
    public void LinksInsideAndTheFolderItselfAsALinkAreFine()
    {
        WriteModel(sharded: false);
        File.Move(Path.Combine(Model, "config.json"), Path.Combine(Model, "kept"));
        File.CreateSymbolicLink(Path.Combine(Model, "config.json"), "./kept");
        Assert.That(Open, Throws.Nothing);
        Directory.CreateSymbolicLink(folder.File("linked"), Model);
        Assert.That(() => ModelFolder.Open(folder.File("linked")).Dispose(), Throws.Nothing);
    }

    /// <summary>The hub's cache holds snapshots of links into the blobs of their repository.</summary>
    [Test]
    public void SnapshotsOfTheHubCacheAreRead()
    {
        WriteModel(sharded: true);
        string repository = folder.File("hub/models--o--n");
        string snapshot = Path.Combine(repository, "snapshots", "abc");
        string blobs = Path.Combine(repository, "blobs");
        Directory.CreateDirectory(snapshot);
        Directory.CreateDirectory(blobs);
        foreach (string file in Directory.GetFiles(Model))
        {
            string name = Path.GetFileName(file);
            File.Move(file, Path.Combine(blobs, "hash-of-" + name));
            File.CreateSymbolicLink(Path.Combine(snapshot, name), "../../blobs/hash-of-" + name);
        }
        Assert.That(() => ModelFolder.Open(snapshot).Dispose(), Throws.Nothing);
        Assert.That(() => BpeTokenizer.Load(snapshot), Throws.Nothing);
        Directory.CreateSymbolicLink(folder.File("current"), snapshot);
        Assert.That(() => ModelFolder.Open(folder.File("current")).Dispose(), Throws.Nothing);

        // The blobs of another repository are not this one's.
        string other = Directory.CreateDirectory(folder.File("hub/models--o--other/blobs")).FullName;
        File.Move(Path.Combine(blobs, "hash-of-config.json"), Path.Combine(other, "config"));
        File.Delete(Path.Combine(snapshot, "config.json"));
        File.CreateSymbolicLink(Path.Combine(snapshot, "config.json"), "../../../models--o--other/blobs/config");
        Assert.That(
            () => ModelFolder.Open(snapshot).Dispose(),
            Throws.TypeOf<InputException>().With.Message.Contains("outside the folder")
        );
    }

    [TestCase("config.json")]
    [TestCase("tokenizer.json")]
    [TestCase("model.safetensors")]
    [Platform(Include = "Linux", Reason = "pipes with names")]
    public void APipeIsNotWaitedFor(string name)
    {
        WriteModel(sharded: false);
        File.Delete(Path.Combine(Model, name));
        using (var make = Process.Start("mkfifo", [Path.Combine(Model, name)]))
            make.WaitForExit();
        var opened = Task.Run(Open);
        Assert.That(
            () => opened.Wait(TimeSpan.FromSeconds(30)),
            Throws
                .TypeOf<AggregateException>()
                .With.InnerException.TypeOf<InputException>()
                .Or.InnerException.InstanceOf<InputException>()
        );
    }
}
