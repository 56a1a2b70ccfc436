using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

/// <summary>
/// Sizes of blocks that layers do not divide into: PEFT refuses them, so the config holds those that the tensors
/// have. The conditions are those that the layers of PEFT 0.20 check.
/// </summary>
public sealed class FittedSizesTests() : TrainingTest(DeviceKind.Cpu)
{
    // Sizes 12, 16 and 10, whose block sizes have little in common.
    private static readonly ModelConfig Config = TinyModels.Llama with { Layers = 1 };

    private static readonly string[] Targets = ["q_proj", "v_proj", "up_proj", "down_proj"];

    [Test]
    public void BlocksOfC3aDivideEachLayer() =>
        Check(
            "c3a",
            [],
            (config, module) =>
            {
                JsonObject pattern = config["block_size_pattern"]!.AsObject();
                string? key = pattern
                    .Select(pair => pair.Key)
                    .FirstOrDefault(key => Regex.IsMatch(module.Name, $@"(^|.*\.){key}$"));
                int size = (int)(key is null ? config["block_size"]! : pattern[key]!);
                Assert.That((module.In % size, module.Out % size), Is.EqualTo((0, 0)), module.Name);
                return [("c3a_kernel", [module.Out / size, module.In / size, size])];
            }
        );

    [Test]
    public void GroupsOfRoadDivideTheOutputs() =>
        Check(
            "road",
            [],
            (config, module) =>
            {
                int size = (int)config["group_size"]!;
                Assert.That((size % 2, module.Out % size), Is.EqualTo((0, 0)), module.Name);
                return [("road_theta", [module.Out / 2])];
            }
        );

    [TestCase("block-size", 5)]
    [TestCase("blocks", 5)]
    public void BlocksOfBoftDivideTheInputs(string setting, int value) =>
        Check(
            "boft",
            new() { [setting] = value },
            (config, module) =>
            {
                int size = (int)config["boft_block_size"]!;
                int number = (int)config["boft_block_num"]!;
                Assert.That(size == 0, Is.Not.EqualTo(number == 0), "one of the two");
                Assert.That(module.In % (size + number), Is.Zero, module.Name);
                (size, number) = size == 0 ? (module.In / number, number) : (size, module.In / size);
                return [("boft_R", [1, number, size, size])];
            }
        );

    [Test]
    public void VectorsOfVbLoraDivideAllSizes() =>
        Check(
            "vb-lora",
            new() { ["num-vectors"] = 3, ["top-vectors"] = 5 },
            (config, module) =>
            {
                int length = (int)config["vector_length"]!;
                int count = (int)config["num_vectors"]!;
                Assert.That((module.In % length, module.Out % length), Is.EqualTo((0, 0)), module.Name);
                Assert.That((int)config["topk"]!, Is.LessThanOrEqualTo(count));
                return
                [
                    ("vblora_logits_A", [2, module.In / length, count]),
                    ("vblora_logits_B", [module.Out / length, 2, count]),
                ];
            }
        );

    [Test]
    public void FrequenciesAreNoMoreThanElements() =>
        Check(
            "fourierft",
            new() { ["n-frequency"] = 130 },
            (config, module) =>
            {
                JsonObject pattern = config["n_frequency_pattern"]!.AsObject();
                string? key = pattern
                    .Select(pair => pair.Key)
                    .FirstOrDefault(key => Regex.IsMatch(module.Name, $@".*\.{key}$"));
                int count = (int)(key is null ? config["n_frequency"]! : pattern[key]!);
                Assert.That(count, Is.LessThanOrEqualTo(module.In * module.Out), module.Name);
                return [("fourierft_spectrum", [count])];
            }
        );

    private void Check(
        string method,
        Dictionary<string, double> settings,
        Func<JsonObject, ModuleShape, (string Leaf, long[] Shape)[]> expected
    )
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        string directory = Path.Combine(Folder.Path, "adapter");
        float[] values;
        var options = new AdapterOptions
        {
            Rank = 2,
            TargetModules = Targets,
            Settings = settings,
        };
        using (var adapter = Adapter.Attach(model, AdapterMethods.Find(method), options))
        {
            TestAdapters.Perturb(adapter, 3);
            adapter.Save(directory);
            values = Weights(adapter);
        }
        JsonObject config = JsonNode
            .Parse(File.ReadAllText(Path.Combine(directory, "adapter_config.json")))!
            .AsObject();
        using (var file = SafetensorsFile.Open(Path.Combine(directory, "adapter_model.safetensors")))
        {
            foreach (ModuleShape module in AdapterTargets.Of(Config, new AdapterOptions { TargetModules = Targets }))
            {
                foreach ((string leaf, long[] shape) in expected(config, module))
                {
                    Assert.That(
                        file.Tensors[AdapterFolder.KeyOf(module.Name, leaf)].Shape,
                        Is.EqualTo(shape),
                        $"{module.Name}.{leaf}"
                    );
                }
            }
        }

        using var loaded = Adapter.Load(model, directory);
        Assert.That(Weights(loaded), Is.EqualTo(values));
    }

    private static float[] Weights(Adapter adapter) =>
        [.. adapter.Modules.SelectMany(module => module.Core.MergedWeight())];
}
