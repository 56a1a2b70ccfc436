using System.Text.Json;
using System.Text.Json.Nodes;
using Spectral.Cli.Tests.Support;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Tests.Commands;

/// <summary>The commands on models with mixtures of experts, with adapters on every expert.</summary>
public sealed class MixtureCommandTests : WorkFolder
{
    /// <summary>The tolerance for F32 sums in another order; a wrong factor gives 1e-3 or more.</summary>
    private const double Rounding = 2e-5;

    private string Weights => Path.Combine(Model, "model.safetensors");

    [Test]
    public void EveryCommandReadsAndWritesThem([Values("mixtral", "qwen3_moe")] string family)
    {
        ModelConfig config = WriteMixture(family);
        CommandLine
            .Run(Finetune("--adapter", "lora", "--rank", "2", "--target", "all-linear", "--steps", "8", "--lr", "3e-2"))
            .Succeeded();
        double adapted = Eval(Model, Out);
        Assert.That(adapted, Is.LessThan(Eval(Model) * 0.99), "the adapter has to matter");

        Succeeds("merge", "--model", Model, "--adapter", Out, "--out", At("merged"));
        Assert.That(Eval(At("merged")), Is.EqualTo(adapted).Within(Rounding));
        using (var merged = ModelFolder.Open(At("merged")))
            Assert.That(merged.Config.Experts!.Count, Is.EqualTo(config.Experts!.Count));
        CommandLine.Run("export", "--adapter", Out, "--format", "peft-lora", "--out", At("exported")).Succeeded();
        Assert.That(Eval(Model, At("exported")), Is.EqualTo(adapted).Within(Rounding));

        string[] prompt = ["--prompt", "3 again: ", "--max-tokens", "6", "--json"];
        JsonElement tokens = Succeeds(["generate", "--model", Model, "--adapter", Out, .. prompt]).Json;
        JsonElement same = Succeeds(["generate", "--model", At("merged"), .. prompt]).Json;
        Assert.That(same.GetProperty("tokens").GetRawText(), Is.EqualTo(tokens.GetProperty("tokens").GetRawText()));

        string expert = ModelTensors
            .Linears(config)
            .First(linear => linear.Name.Contains(".experts.2.", StringComparison.Ordinal))
            .Weight;
        Succeeds("svd", "--model", Model, "--rank", "2", "--tensor", expert, "--out", At("svd.safetensors"));
        using (var factors = SafetensorsFile.Open(At("svd.safetensors")))
            Assert.That(factors.Tensors.Keys, Has.Some.StartsWith(expert));
        JsonElement analysis = Succeeds(
            "analyze",
            "--base",
            Model,
            "--adapter",
            Out,
            "--out",
            At("page.html"),
            "--draws",
            "0",
            "--json"
        ).Json;
        Assert.That(
            analysis.GetProperty("matrices").GetArrayLength(),
            Is.EqualTo(4 * TinyModel.Layers),
            "the projections of attention, unless others are asked for"
        );
    }

    [Test]
    public void WhatDoesNotWorkWithExpertsIsSaid()
    {
        ModelConfig config = WriteMixture("mixtral");
        string expert = ModelTensors.Linears(config).Last().Weight;
        Refused(
            Finetune("--target", "w4"),
            "target 'w4' matches no layer; there are: q_proj, k_proj, v_proj, o_proj, gate, w1, w3, w2"
        );
        Refused(Finetune("--graph"), "expected no --graph");
        TensorToWrite[] rest;
        using (var file = SafetensorsFile.Open(Weights))
        {
            rest =
            [
                .. file
                    .Tensors.Values.Where(tensor => tensor.Name != expert)
                    .Select(tensor => Written(tensor.Name, tensor)),
            ];
        }
        SafetensorsWriter.Write(Weights, rest);
        Refused(["eval", "--model", Model, "--data", Data], $"tensor {expert} is missing in the weights");

        static TensorToWrite Written(string name, SafetensorsTensor tensor)
        {
            float[] values = tensor.ToFloats();
            return TensorToWrite.Floats(name, StoredType.F32, tensor.Shape, () => values);
        }
    }

    private ModelConfig WriteMixture(string family)
    {
        string config = Path.Combine(Model, "config.json");
        TinyModel.Set(config, "model_type", family);
        TinyModel.Set(config, "num_local_experts", 4);
        TinyModel.Set(config, "num_experts_per_tok", 2);
        TinyModel.Set(config, "moe_intermediate_size", 16);
        TinyModel.Set(config, "mlp_only_layers", new JsonArray(0));
        TinyModel.Set(config, "output_router_logits", true);
        var read = ModelConfig.Load(Model);
        var random = new Random(1);
        List<TensorToWrite> tensors = [];
        foreach (TensorSpec tensor in ModelTensors.For(read))
        {
            float[] values = new float[tensor.Count];
            for (int i = 0; i < values.Length; i++)
                values[i] = tensor.Shape.Count == 1 ? 1 : 0.3f * (random.NextSingle() + random.NextSingle() - 1);
            tensors.Add(TensorToWrite.Floats(tensor.Name, StoredType.F32, tensor.Shape, () => values));
        }
        SafetensorsWriter.Write(Weights, tensors);
        return read;
    }

    private static Outcome Succeeds(params string[] command) =>
        CommandLine.Run([.. command, "--device", "cpu"]).Succeeded();

    private double Eval(string model, string? adapter = null) =>
        Succeeds([
            "eval",
            "--model",
            model,
            "--data",
            Data,
            "--json",
            .. adapter is null ? (string[])[] : ["--adapter", adapter],
        ])
            .Json.GetProperty("loss")
            .GetDouble();
}
