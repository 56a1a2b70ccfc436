using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Merging;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Adapters.Files;

/// <summary>
/// PEFT's variants and starts of LoRA, by the formulas of its layers (src/peft/tuners/lora of 0.20.1.dev): what a file
/// means on the base as it is. Right values are those of the reference model in double.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LoraVariantTests(DeviceKind kind) : AdapterFileTest(kind)
{
    private const string Prefix = "base_model.model.";
    private const string Targets = $"""["{Query}","{Down}"]""";
    private const double Scale = 2; // alpha 4, rank 2

    private static readonly string[] Adapted = [Query, Down];

    // Weight: W + s·B·A, bias: b + s·(bias of B).
    [Test]
    public void ABiasOfBIsScaledWithIt()
    {
        foreach (string module in Adapted)
        {
            Expected[$"{module}.weight"] = (Weight(module) + Scale * LowRank(module)).Values;
            double[] bias = Tensor($"{Prefix}{module}.lora_B.bias", Shape(module).Out);
            Expected[$"{module}.bias"] = [.. Expected[$"{module}.bias"].Zip(bias, (own, added) => own + Scale * added)];
        }
        Write(Targets, ("lora_bias", "true"));
        Assert.That(Warnings(), Is.Empty);
        Verify();
    }

    [Test]
    public void WhereALayerHasNoBiasItCannotBeMerged()
    {
        LowRank(Query);
        Tensor($"{Prefix}{Query}.lora_B.bias", Shape(Query).Out);
        Write($"""["{Query}"]""", ("lora_bias", "true"));
        using TemporaryFolder other = new();
        using CausalLanguageModel plain = TinyModels.Frozen(TinyModels.Llama, Device, other);
        using (Adapter.Load(plain, Saved)) { }
        using var folder = ModelFolder.Open(other.Path);
        Assert.That(
            () => Merger.Merge(folder, Saved, Folder.Path, Device),
            Throws.TypeOf<InputException>().With.Message.Contains("bias")
        );
    }

    // Outside of training they compute W + s·B·A; what they keep for training is set aside.
    [TestCase("velora_config", """{"num_groups":64}""", "lora_velora_embed", null)]
    [TestCase(
        "monteclora_config",
        """{"num_samples":8}""",
        "lora_monteclora_sampler.std_prior",
        "lora_monteclora_sampler.default.expert_weights"
    )]
    [TestCase("use_qalora", "true", null, null)]
    [TestCase("megatron_config", """{"a":1}""", null, null)]
    [TestCase("merge_weights", "false", null, null)]
    [TestCase("enable_lora", "null", null, null)]
    [TestCase("runtime_config", """{"ephemeral_gpu_offload":true}""", null, null)]
    [TestCase("lora_ga_config", """{"direction":"ArB2r"}""", null, null)]
    [TestCase("corda_config", """{"corda_method":"kpm"}""", null, null)]
    [TestCase("init_lora_weights", "\"gaussian\"", null, null)]
    [TestCase("init_lora_weights", "\"eva\"", null, null)]
    [TestCase("init_lora_weights", "\"mica\"", null, null)]
    [TestCase("init_lora_weights", "null", null, null)]
    public void WhatActsInTrainingAloneChangesNothing(string key, string value, string? tensor, string? other)
    {
        Low(Adapted);
        foreach (string? leaf in new[] { tensor, other })
        {
            if (leaf is not null)
                Tensor($"{Prefix}{Query}.{leaf}", 3);
        }

        Write(Targets, (key, value));
        Assert.That(Warnings(), Is.Empty);
        Verify();
    }

    [Test]
    public void FactorsThatReadMeansOfInputsBelongToAQuantisedBase()
    {
        (int rows, int columns) = Shape(Query);
        Tensor($"{Prefix}{Query}.lora_A.weight", 2, columns / 4);
        Tensor($"{Prefix}{Query}.lora_B.weight", rows, 2);
        Write($"""["{Query}"]""", ("use_qalora", "true"), ("qalora_group_size", "4"));
        VerifyRefused(Model, "GPTQ");
    }

    // PEFT reads it onto the base that is given.
    [Test]
    public void LoraGaIsReadOnTheBaseGivenWithAWarning()
    {
        Low(Adapted);
        Write(Targets, ("init_lora_weights", "\"lora_ga\""));
        VerifyWarning("adapter_config.json: init_lora_weights is lora_ga");
        Verify();
    }

    [TestCase("corda", "data")]
    [TestCase("loftq", "quantised")]
    [TestCase("start of tomorrow", "olora")]
    public void StartsThatNothingLeadsBackToAreRefused(string start, string says)
    {
        Low(Adapted);
        Write(Targets, ("init_lora_weights", $"\"{start}\""));
        VerifyRefused(Model, "init_lora_weights", says);
    }

    // W − U_r diag(σ_r) V_rᵀ + s·B·A; the randomised SVD of "niter" is taken from the exact one.
    [TestCase("pissa", 0)]
    [TestCase("pissa_niter_16", 1)]
    public void PissaIsTakenFromTheBase(string start, int warnings)
    {
        foreach (string module in Adapted)
        {
            Dense residual = Weight(module) - Leading(Weight(module), 2);
            Expected[$"{module}.weight"] = (residual + Scale * LowRank(module)).Values;
        }
        Write(Targets, ("init_lora_weights", $"\"{start}\""));
        Assert.That(Warnings(), Has.Count.EqualTo(warnings));
        Verify();
    }

    // diag(m / |row|)·W', |row| the lengths of the rows of W' = W − (start) + s·B·A; a plain start takes nothing off.
    [TestCase("true")]
    [TestCase("\"gaussian\"")]
    [TestCase("\"eva\"")]
    [TestCase("\"pissa\"")]
    [TestCase("\"pissa_niter_4\"")]
    public void DoraHasAnyStart(string start)
    {
        foreach (string module in Adapted)
        {
            Dense weight = Weight(module);
            if (start.Contains("pissa"))
                weight -= Leading(weight, 2);
            Dense changed = weight + Scale * LowRank(module);
            double[] magnitude = Tensor($"{Prefix}{module}.lora_magnitude_vector", changed.Rows);
            Expected[$"{module}.weight"] = ScaledRows(changed, magnitude).Values;
        }
        Write(Targets, ("use_dora", "true"), ("init_lora_weights", start));
        Verify();
    }

    [TestCase(".weight")]
    [TestCase(".default")]
    [TestCase(".default.weight")]
    public void DorasMagnitudesHaveTheNamesOfAllVersions(string ending)
    {
        LowRank(Query);
        Tensor($"{Prefix}{Query}.lora_magnitude_vector{ending}", Shape(Query).Out);
        Write($"""["{Query}"]""", ("use_dora", "true"));
        Assert.That(Warnings(), Is.Empty);
    }

    // W − U₀ diag(σ₀) V₀ᵀ + s·B·diag(d)·A, U₀, σ₀, V₀ the last r triplets.
    [Test]
    public void KasaTakesTheLastTripletsOffTheBase()
    {
        foreach (string module in Adapted)
        {
            (int rows, int columns) = Shape(module);
            var a = Dense.Of(2, columns, Tensor($"{Prefix}{module}.lora_A.weight", 2, columns));
            var b = Dense.Of(rows, 2, Tensor($"{Prefix}{module}.lora_B.weight", rows, 2));
            var middle = Dense.Diagonal(Tensor($"{Prefix}{module}.lora_diag", 2));
            Dense truncated = Leading(Weight(module), Math.Min(rows, columns) - 2);
            Expected[$"{module}.weight"] = (truncated + Scale * (b * middle * a)).Values;
        }
        Write(Targets, ("kasa_config", """{"beta":0.01,"gamma":0.001}"""));
        using (AdapterReader reader = new(Saved, Model))
        {
            Assert.That(reader.Warnings, Is.Empty);
            Assert.That(reader.Method.Name, Is.EqualTo("kasa"));
            Assert.That(reader.Options.Setting(reader.Method, "beta"), Is.EqualTo(0.01));
        }
        Verify();
        JsonNode written = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder.Path, "again", "adapter_config.json")))!;
        Assert.That(written["peft_type"]!.ToString(), Is.EqualTo("LORA"));
        Assert.That(written["kasa_config"]!["beta"]!.GetValue<double>(), Is.EqualTo(0.01));
    }

    // The type that this library gave it before PEFT had it, with all tensors in the file.
    [Test]
    public void KasaOfEarlierVersionsIsRead()
    {
        (int rows, int columns) = Shape(Query);
        double[] u = Tensor($"{Prefix}{Query}.kasa_U", rows, 2);
        double[] v = Tensor($"{Prefix}{Query}.kasa_V", 2, columns);
        var a = Dense.Of(2, columns, Tensor($"{Prefix}{Query}.lora_A.weight", 2, columns));
        var b = Dense.Of(rows, 2, Tensor($"{Prefix}{Query}.lora_B.weight", rows, 2));
        var middle = Dense.Diagonal(Tensor($"{Prefix}{Query}.lora_diag", 2));
        Dense truncated = Weight(Query) - Dense.Of(rows, 2, u) * Dense.Of(2, columns, v);
        Expected[$"{Query}.weight"] = (truncated + Scale * (b * middle * a)).Values;
        Write($"""["{Query}"]""", ("peft_type", "\"KASA\""), ("beta", "0.5"), ("gamma", "0.25"));
        using (AdapterReader reader = new(Saved, Model))
        {
            Assert.That(reader.Warnings, Is.Empty);
            Assert.That(reader.Options.Setting(reader.Method, "beta"), Is.EqualTo(0.5));
        }
        Verify();
    }

    // Of A [r, in] at some layers and B [out, r] at others the file has the blocks of a diagonal, one under another
    // (0.19 and later).
    [TestCase("")]
    [TestCase(".default")]
    public void BlocksOfADiagonalAreReadAsWholeMatrices(string middle)
    {
        const int Blocks = 2;
        (int rows, int columns) = Shape(Down);
        Dense a = Diagonal(2, columns, Tensor($"{Prefix}{Down}.lora_A{middle}.weight", 2, columns / Blocks));
        var b = Dense.Of(rows, 2, Tensor($"{Prefix}{Down}.lora_B{middle}.weight", rows, 2));
        Expected[$"{Down}.weight"] = (Weight(Down) + Scale * (b * a)).Values;
        (rows, columns) = Shape(Query);
        a = Dense.Of(2, columns, Tensor($"{Prefix}{Query}.lora_A{middle}.weight", 2, columns));
        b = Diagonal(rows, 2, Tensor($"{Prefix}{Query}.lora_B{middle}.weight", rows, 2 / Blocks));
        Expected[$"{Query}.weight"] = (Weight(Query) + Scale * (b * a)).Values;
        const string Sides = """ "target_modules_bd_a":["down_proj"],"target_modules_bd_b":["q_proj"] """;
        Write(Targets, ("use_bdlora", $"{{{Sides},\"nblocks\":2,\"match_strict\":true}}"));
        Assert.That(Warnings(), Is.Empty);
        Verify();
        Write(Targets, ("use_bdlora", """{"target_modules_bd_a":["down_proj"],"nblocks":3}"""));
        VerifyRefused(Model, "3 equal blocks");

        static Dense Diagonal(int rows, int columns, double[] values) =>
            Dense.Of(
                rows,
                columns,
                (i, j) =>
                {
                    int height = rows / Blocks;
                    int width = columns / Blocks;
                    return j / width == i / height ? values[(i * width) + (j % width)] : 0;
                }
            );
    }

    [TestCase("layer_replication", "[[0,2]]", "copies")]
    [TestCase("target_parameters", """["experts.weight"]""", "experts")]
    [TestCase("arrow_config", """{"top_k":2}""", "routes")]
    [TestCase("enable_lora", "[true,false]", "several")]
    public void WhatChangesTheModelOtherwiseIsRefusedWithTheReason(string key, string value, string reason)
    {
        Low(Adapted);
        Write(Targets, (key, value));
        VerifyRefused(Model, key, reason);
    }

    private void Low(params string[] modules)
    {
        foreach (string module in modules)
            Expected[$"{module}.weight"] = (Weight(module) + Scale * LowRank(module)).Values;
    }

    /// <summary>The part of a matrix in its leading singular triplets.</summary>
    private static Dense Leading(Dense matrix, int count)
    {
        (Dense u, double[] sigma, Dense v) = JacobiSvd.Of(matrix);
        return Dense.Of(
            matrix.Rows,
            matrix.Columns,
            (i, j) => Enumerable.Range(0, count).Sum(k => u[i, k] * sigma[k] * v[j, k])
        );
    }
}
