using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Training.Adapters;
using Spectral.Training.Compression;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Quantization;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.IO.Fuzzing;

/// <summary>
/// The folders of every adapter method, PEFT's own and packed ones, damaged in thousands of ways; what is accepted is
/// attached to a model.
/// </summary>
public sealed class AdapterFuzzTests() : TrainingTest(DeviceKind.Cpu)
{
    private static readonly ModelConfig Config = TinyModels.Everything with { Layers = 1 };
    private static readonly AdapterOptions Options = new()
    {
        InvocationTokens = [3],
        Rank = 2,
        Alpha = 3,
        TopK = 2,
        Seed = 5,
        TargetModules = ["q_proj", "down_proj"],
    };

    private static readonly (string File, Func<byte[], Random, byte[]> Damage)[] Plain =
    [
        ("adapter_config.json", Damage.Json),
        ("adapter_model.safetensors", Damage.Safetensors),
    ];

    [Test]
    public void EveryMethod()
    {
        // Some methods take no other base.
        BaseQuantization quantized = new(WeightFormat.Nf4);
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder, quantization: quantized));
        int rounds = (int)Math.Ceiling(2000.0 / AdapterMethods.All.Count / 2);
        foreach (AdapterMethod method in AdapterMethods.All)
        {
            using var folder = TemporaryFolder.InMemory();
            using (Adapter adapter = TestAdapters.Attach(model, method, Options))
                adapter.Save(folder.Path);
            Fuzz(method.Name, model, folder, rounds, Plain);
        }
    }

    [Test]
    public void PeftLayout()
    {
        using var folder = TemporaryFolder.InMemory();
        CausalLanguageModel model = Keep(
            TinyModels.Frozen(
                TinyModels.Llama with
                {
                    Layers = 1,
                    HiddenSize = 8,
                    IntermediateSize = 12,
                    Heads = 2,
                    KeyValueHeads = 1,
                },
                Device,
                Folder
            )
        );
        JsonObject json = AdapterFiles.PeftConfig();
        json["rank_pattern"] = new JsonObject { ["q_proj"] = 2 };
        json["alpha_pattern"] = new JsonObject { ["^model\\.layers\\.0\\..*q_proj"] = 5 };
        json["layers_to_transform"] = new JsonArray(0);
        json["layers_pattern"] = "layers";
        json["target_modules"] = "model\\.layers\\.(?!1)\\d+\\.self_attn\\.q_proj";
        AdapterFiles.Write(folder, json, AdapterFiles.LowRank(AdapterFiles.Module, 2));
        Fuzz("peft", model, folder, 350, Plain);
    }

    [TestCase("delta-come")]
    [TestCase("flex-switch")]
    [TestCase("one-bit")]
    public void PackedFolders(string method)
    {
        CausalLanguageModel model = Keep(TinyModels.Frozen(Config, Device, Folder));
        using var lora = TemporaryFolder.InMemory();
        using (Adapter adapter = TestAdapters.Attach(model, AdapterMethods.Find("lora"), Options))
        {
            TestAdapters.Perturb(adapter, seed: 7);
            adapter.Save(lora.Path);
        }
        using var folder = TemporaryFolder.InMemory();
        using (var opened = ModelFolder.Open(Folder.Path))
        {
            CompressionOptions options = new()
            {
                Settings = method == "delta-come" ? new Dictionary<string, double> { ["bits"] = 16 } : [],
            };
            Compressor.Compress(CompressionMethods.Find(method), lora.Path, folder.Path, options, Device, opened);
        }
        Fuzz(
            method,
            model,
            folder,
            150,
            [.. Plain[..1], ("compression.json", Damage.Json), ("packed_model.safetensors", Damage.Safetensors)],
            mostRefused: method == "flex-switch" ? 1 : 0.999 // a damaged mask has another number of signs
        );
    }

    private void Fuzz(
        string name,
        CausalLanguageModel model,
        TemporaryFolder folder,
        int rounds,
        (string File, Func<byte[], Random, byte[]> Damage)[] files,
        double mostRefused = 0.999
    )
    {
        long before = Device.Memory.InUse;
        bool alone = AdapterReads(folder.Path);
        foreach ((string file, Func<byte[], Random, byte[]> damage) in files)
        {
            new FuzzRun(
                folder.File(file),
                damage,
                () =>
                {
                    Device.Memory.ResetPeak();
                    if (alone)
                        AdapterReads(folder.Path);
                    try
                    {
                        Adapter.Load(model, folder.Path).Dispose();
                    }
                    finally
                    {
                        if (Device.Memory.InUse != before)
                        {
                            throw new InvalidOperationException(
                                $"{Device.Memory.InUse - before} bytes of device memory are left behind"
                            );
                        }
                    }
                }
            )
            {
                DeviceBytes = () => Device.Memory.Peak - before,
                MostRefused = mostRefused,
            }.Run($"{name}-{file}", rounds);
        }
    }

    // Without the model, where the tensors say how large its layers are.
    private static bool AdapterReads(string directory)
    {
        try
        {
            using AdapterReader adapter = new(directory);
            return adapter.Modules.Count > 0;
        }
        catch (InputException)
        {
            return false;
        }
    }
}
