using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.Merging;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

/// <summary>
/// Adapter folders of mlx-lm, by its layers (mlx_lm/tuner/lora.py, dora.py): y = W x + scale·(x a) b with a [in, r] and
/// b [r, out], and of DoRA that times m / |row|. Right values are those of the reference model in double.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class MlxFolderTests(DeviceKind kind) : AdapterFileTest(kind)
{
    private const double Scale = 2.5;

    [Test]
    public void ALoraIsRead()
    {
        foreach (string module in new[] { Query, Down })
            Expected[$"{module}.weight"] = (Weight(module) + Scale * Low(module)).Values;
        Write("lora");
        using (AdapterReader reader = new(Saved, Model))
        {
            Assert.That(reader.Warnings, Is.Empty);
            AdapterOptions options = reader.Options;
            Assert.That(reader.Method.Name, Is.EqualTo("lora"));
            Assert.That((options.Rank, options.Scale, options.Dropout), Is.EqualTo((3, Scale, 0.125)));
        }
        Verify();
    }

    // The kind is a later addition to the config.
    [TestCase("lora")]
    [TestCase(null)]
    public void WithoutAModelItIsExported(string? kind)
    {
        Expected[$"{Query}.weight"] = (Weight(Query) + Scale * Low(Query)).Values;
        Write(kind);
        string exported = Directory.CreateDirectory(Path.Combine(Folder.Path, "exported")).FullName;
        LoraExporter.Export(Saved, exported, Device);
        using (Adapter.Load(Loaded, exported))
            VerifyLogits();
    }

    [Test]
    public void ADoraIsRead()
    {
        foreach (string module in new[] { Query, Down })
        {
            Dense changed = Weight(module) + Scale * Low(module);
            double[] m = Tensor($"{module}.m", changed.Rows);
            Expected[$"{module}.weight"] = ScaledRows(changed, m).Values;
        }
        Write("dora");
        Verify();
    }

    [Test]
    public void WhatIsWrongIsNamed()
    {
        Low(Query);
        Write("full");
        VerifyRefused(Model, "fine_tune_type", "mlx_lm.fuse");
        Write("lora", config => config.Remove("lora_parameters"));
        VerifyRefused(Model, "lora_parameters is missing");
        Write("lora", config => config["lora_parameters"]!["rank"] = "x");
        VerifyRefused(Model, "lora_parameters.rank");
        Write("lora", config => config["lora_parameters"]!["scale"] = null);
        VerifyRefused(Model, "lora_parameters.scale is missing");
        Write("dora");
        VerifyRefused(Model, "lacks a tensor", "lora_magnitude_vector");
        Tensor($"{Query}.weight", 2, 2);
        Write("lora");
        VerifyRefused(Model, $"'{Query}.weight' is not part");
    }

    private Dense Low(string module)
    {
        (int rows, int columns) = Shape(module);
        var a = Dense.Of(columns, 3, Tensor($"{module}.lora_a", columns, 3));
        var b = Dense.Of(3, rows, Tensor($"{module}.lora_b", 3, rows));
        return (a * b).Transposed;
    }

    private void Write(string? kind, Action<JsonObject>? change = null)
    {
        JsonObject config = JsonNode
            .Parse(
                $$$"""
                {"model":"base","num_layers":16,"batch_size":4,
                 "lora_parameters":{"rank":3,"alpha":16,"dropout":0.125,"scale":{{{Scale}}},
                  "keys":["self_attn.q_proj","mlp.down_proj"]}}
                """
            )!
            .AsObject();
        if (kind is not null)
            config["fine_tune_type"] = kind;
        change?.Invoke(config);
        Write(config, "adapters.safetensors");
    }
}
