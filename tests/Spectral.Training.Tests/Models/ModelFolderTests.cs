using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Models;

public sealed class ModelFolderTests : FolderTest
{
    private void OpenMustSay(params string[] says)
    {
        InputException error = Assert.Catch<InputException>(() => ModelFolder.Open(folder.Path).Dispose())!;
        foreach (string text in says)
            Assert.That(error.Message, Does.Contain(text));
    }

    // Two shards, every tensor with an odd place in the list in the second.
    private JsonObject WriteShards()
    {
        ModelConfig config = TinyModel.WriteConfig(folder);
        List<TensorToWrite> tensors = TinyModel.Tensors(config);
        JsonObject map = [];
        for (int shard = 0; shard < 2; shard++)
        {
            TensorToWrite[] part = [.. tensors.Where((_, index) => index % 2 == shard)];
            SafetensorsWriter.Write(folder.File($"model-0000{shard + 1}-of-00002.safetensors"), part);
            foreach (TensorToWrite tensor in part)
                map[tensor.Name] = $"model-0000{shard + 1}-of-00002.safetensors";
        }
        return new JsonObject
        {
            ["metadata"] = new JsonObject { ["total_size"] = config.ParameterCount * 4 },
            ["weight_map"] = map,
        };
    }

    private void WriteIndex(JsonObject index) => folder.Write("model.safetensors.index.json", index.ToJsonString());

    [Test]
    public void SingleAndShardedFoldersHoldTheSame()
    {
        WriteIndex(WriteShards());
        Dictionary<string, float[]> sharded = [];
        using (var model = ModelFolder.Open(folder.Path))
        {
            foreach (string name in model.TensorNames)
                sharded.Add(name, model[name].ToFloats());
            Assert.That(model.Warnings, Is.Empty);
            Assert.That(model.HasWeights);
        }
        TinyModel.Write(folder);
        using var single = ModelFolder.Open(folder.Path);
        Assert.That(sharded.Keys, Is.EquivalentTo(single.TensorNames));
        foreach ((string name, float[] values) in sharded)
            Assert.That(single[name].ToFloats(), Is.EqualTo(values), name);
        Assert.That(
            single.Sha256("model.norm.weight"),
            Is.EqualTo(Convert.ToHexStringLower(SHA256.HashData(single["model.norm.weight"].Data)))
        );
    }

    [TestCase("../x.safetensors")]
    [TestCase("a/x.safetensors")]
    [TestCase("a\\x.safetensors")]
    [TestCase("..")]
    [TestCase("")]
    public void NamesThatLeaveTheFolderAreRefused(string name)
    {
        JsonObject index = WriteShards();
        index["weight_map"]!["model.norm.weight"] = name;
        WriteIndex(index);
        OpenMustSay("index.json", "'model.norm.weight'", "plain file name");
    }

    [Test]
    public void MissingShardsTensorsAndMapsAreNamed()
    {
        JsonObject index = WriteShards();
        index["weight_map"]!["model.norm.weight"] = "none.safetensors";
        WriteIndex(index);
        OpenMustSay("none.safetensors", "no such file");
        index["weight_map"]!["model.norm.weight"] = "model-00001-of-00002.safetensors";
        index["weight_map"]!["model.embed_tokens.weight"] = "model-00002-of-00002.safetensors";
        WriteIndex(index);
        OpenMustSay("model-00002-of-00002.safetensors", "no tensor 'model.embed_tokens.weight'");
        index["weight_map"] = 7;
        WriteIndex(index);
        OpenMustSay("weight_map is 7, expected an object");
        folder.Write("model.safetensors.index.json", "{}");
        OpenMustSay("weight_map is missing");
    }

    [Test]
    public void OdditiesOfAnIndexAreWarnings()
    {
        JsonObject index = WriteShards();
        index["metadata"]!["total_size"] = 5;
        SafetensorsWriter.Write(
            folder.File("extra.safetensors"),
            [TinyModel.Numbered("extra.a", [1]), TinyModel.Numbered("extra.b", [1])]
        );
        index["weight_map"]!["extra.a"] = "extra.safetensors";
        WriteIndex(index);
        using var model = ModelFolder.Open(folder.Path);
        Assert.That(model.Warnings, Has.Count.EqualTo(3));
        Assert.That(
            string.Join('\n', model.Warnings),
            Does.Contain("total_size is '5'").And.Contain("1 tensors of the files").And.Contain("'extra.a'")
        );
    }

    [Test]
    public void TensorsMustFitTheConfig()
    {
        ModelConfig config = TinyModel.WriteConfig(folder);
        List<TensorToWrite> tensors = TinyModel.Tensors(config);
        int norm = tensors.FindIndex(tensor => tensor.Name == "model.norm.weight");
        TensorToWrite good = tensors[norm];
        tensors[norm] = TinyModel.Numbered(good.Name, [8, 1]);
        SafetensorsWriter.Write(folder.File("model.safetensors"), tensors);
        OpenMustSay("model.safetensors", "model.norm.weight is [8, 1], expected [8]");
        tensors[norm] = new TensorToWrite(good.Name, StoredType.I32, [8], stream => stream.Write(new byte[32]));
        SafetensorsWriter.Write(folder.File("model.safetensors"), tensors);
        OpenMustSay("model.norm.weight is I32, expected F32");
        tensors.RemoveAt(norm);
        SafetensorsWriter.Write(folder.File("model.safetensors"), tensors);
        OpenMustSay("model.norm.weight is missing", "[8]");
    }

    [Test]
    public void TiedModelsNeedNoHeadAndIgnoreOneThatRepeatsTheEmbedding()
    {
        JsonObject json = TinyModel.ConfigJson();
        json["tie_word_embeddings"] = true;
        TinyModel.Write(folder, json);
        using (var model = ModelFolder.Open(folder.Path))
            Assert.That(model.TensorNames, Does.Not.Contain("lm_head.weight"));
        List<TensorToWrite> tensors = TinyModel.Tensors(ModelConfig.Load(folder.Path));
        tensors.Add(TinyModel.Numbered("lm_head.weight", [11, 8])); // the seed of the first tensor, the embedding
        tensors.Add(TinyModel.Numbered("model.layers.0.self_attn.rotary_emb.inv_freq", [2]));
        SafetensorsWriter.Write(folder.File("model.safetensors"), tensors);
        using var withHead = ModelFolder.Open(folder.Path);
        Assert.That(withHead.Warnings, Is.Empty);
        Assert.That(withHead.Config.TieWordEmbeddings);
    }

    // transformers 5 (modeling_utils, tie_weights) leaves a head alone that the checkpoint has and that is not the
    // embedding.
    [TestCase(StoredType.F32, 99, true)]
    [TestCase(StoredType.F16, 99, true)]
    [TestCase(StoredType.F32, 0, false)]
    public void AHeadThatIsNotTheEmbeddingIsUsedThoughTheConfigTiesIt(StoredType type, int seed, bool differs)
    {
        JsonObject json = TinyModel.ConfigJson();
        json["tie_word_embeddings"] = true;
        List<TensorToWrite> tensors = TinyModel.Tensors(TinyModel.WriteConfig(folder, json));
        tensors.Add(TinyModel.Numbered("lm_head.weight", [11, 8], seed, type));
        SafetensorsWriter.Write(folder.File("model.safetensors"), tensors);
        using var model = ModelFolder.Open(folder.Path);
        Assert.That(model.Config.TieWordEmbeddings, Is.EqualTo(!differs));
        Assert.That(model.Warnings.Any(warning => warning.Contains("lm_head.weight differs")), Is.EqualTo(differs));
    }

    [Test]
    public void AHeadOfAnotherSizeIsRefusedThoughTheConfigTiesIt()
    {
        JsonObject json = TinyModel.ConfigJson();
        json["tie_word_embeddings"] = true;
        List<TensorToWrite> tensors = TinyModel.Tensors(TinyModel.WriteConfig(folder, json));
        tensors.Add(TinyModel.Numbered("lm_head.weight", [12, 8]));
        SafetensorsWriter.Write(folder.File("model.safetensors"), tensors);
        OpenMustSay("lm_head.weight is [12, 8], expected [11, 8]");
    }

    [TestCase("org/name", "models are not downloaded", "download it first")]
    [TestCase("none", "models are not downloaded", "local model folder")]
    public void ANameThatIsNoFolderIsSaidToBeNone(string name, params string[] says)
    {
        foreach (Action read in new Action[] { () => ModelFolder.Open(name).Dispose(), () => BpeTokenizer.Load(name) })
        {
            InputException error = Assert.Catch<InputException>(() => read())!;
            foreach (string text in says.Prepend($"{name}: no such folder"))
                Assert.That(error.Message, Does.Contain(text));
        }
    }

    [Test]
    public void AFileInPlaceOfAFolderIsSaidToBeOne()
    {
        string file = folder.File("adapter_model.safetensors");
        folder.Write("adapter_model.safetensors", "x");
        foreach (
            Action read in new Action[]
            {
                () => ModelFolder.Open(file).Dispose(),
                () => BpeTokenizer.Load(file),
                () => AdapterFolder.Open(file),
            }
        )
        {
            Assert.That(
                () => read(),
                Throws.TypeOf<InputException>().With.Message.StartsWith($"{file}: a file, expected a local ")
            );
        }
    }

    [Test]
    public void FoldersWithoutWeights()
    {
        TinyModel.WriteConfig(folder);
        using (var model = ModelFolder.Open(folder.Path, weightsOptional: true))
            Assert.That(model.HasWeights, Is.False);
        OpenMustSay("no weights, expected model.safetensors");
        folder.Write("pytorch_model.bin", "x");
        OpenMustSay("pickled", "never opened");
        folder.Write("model.safetensors", "x");
        OpenMustSay("FileTooShort");
    }
}
