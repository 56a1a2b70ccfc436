using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Models;

/// <summary>What the configs of families with experts mean, by the configuration classes of transformers.</summary>
public sealed class ExpertConfigTests : FolderTest
{
    private ModelConfig Load(string type, string changes = "{}")
    {
        JsonObject json = TinyModel.ConfigJson();
        (json["model_type"], json["num_attention_heads"], json["num_key_value_heads"]) = (type, 4, 2);
        foreach ((string key, JsonNode? value) in JsonNode.Parse(changes)!.AsObject())
            json[key] = value?.DeepClone();
        return TinyModel.WriteConfig(folder, json);
    }

    [Test]
    public void AbsentKeysOfMixtralGetTheDefaultsOfTransformers()
    {
        ModelConfig config = Load("mixtral", """{"rms_norm_eps":null}""");
        ExpertsConfig experts = config.Experts!;
        Assert.That(
            (experts.Count, experts.PerToken, experts.IntermediateSize, experts.NormalisesWeights),
            Is.EqualTo((8, 2, (int?)null, true))
        );
        Assert.That((experts.BalanceCoefficient, experts.AddsBalanceLoss), Is.EqualTo((0.001, false)));
        Assert.That(Enumerable.Range(0, config.Layers).Select(experts.In), Is.All.True);
        Assert.That(
            (config.SlidingWindow, config.RmsNormEpsilon, config.RopeTheta, config.MaxPositions),
            Is.EqualTo((0, 1e-5, 1e6, 131072))
        );
    }

    [Test]
    public void AbsentKeysOfQwen3MoeGetTheDefaultsOfTransformers()
    {
        ModelConfig config = Load("qwen3_moe", """{"num_key_value_heads":4}""");
        ExpertsConfig experts = config.Experts!;
        Assert.That(
            (experts.Count, experts.PerToken, experts.IntermediateSize, experts.NormalisesWeights),
            Is.EqualTo((128, 8, (int?)768, false))
        );
        Assert.That((experts.BalanceCoefficient, experts.AddsBalanceLoss), Is.EqualTo((0.001, false)));
        Assert.That(Enumerable.Range(0, config.Layers).Select(experts.In), Is.All.True);
        Assert.That(
            (config.SlidingWindow, config.HeadDimension, config.RopeTheta, config.MaxPositions),
            Is.EqualTo((0, 2, 1e4, 32768))
        );
    }

    [TestCase("""{}""", "111111")]
    [TestCase("""{"decoder_sparse_step":2}""", "010101")]
    [TestCase("""{"decoder_sparse_step":4}""", "000100")]
    [TestCase("""{"mlp_only_layers":[0,5]}""", "011110")]
    [TestCase("""{"mlp_only_layers":[1,9],"decoder_sparse_step":2}""", "000101")]
    [TestCase("""{"mlp_only_layers":null}""", "111111")]
    public void LayersWithoutExpertsAreThoseThatTheConfigNames(string changes, string layers)
    {
        JsonObject json = JsonNode.Parse(changes)!.AsObject();
        json["num_hidden_layers"] = 6;
        ModelConfig config = Load("qwen3_moe", json.ToJsonString());
        Assert.That(
            string.Concat(Enumerable.Range(0, 6).Select(layer => config.Experts!.In(layer) ? 1 : 0)),
            Is.EqualTo(layers)
        );
        for (int layer = 0; layer < 6; layer++)
        {
            string[] names = [.. config.Family.Linears(config, layer).Select(linear => linear.Name)];
            string dense = $"model.layers.{layer}.mlp.gate_proj";
            Assert.That(names, config.Experts!.In(layer) ? Does.Not.Contain(dense) : Does.Contain(dense));
        }
    }

    [Test]
    public void TensorsHaveTheNamesAndShapesOfTheCheckpoints()
    {
        const string Sizes = """{"num_experts":3,"num_experts_per_tok":2,"moe_intermediate_size":5}""";
        Assert.That(
            Feed(Load("mixtral", """{"num_local_experts":2}""")),
            Is.EqualTo(
                new[]
                {
                    "block_sparse_moe.gate.weight 2,8",
                    "block_sparse_moe.experts.0.w1.weight 12,8",
                    "block_sparse_moe.experts.0.w3.weight 12,8",
                    "block_sparse_moe.experts.0.w2.weight 8,12",
                    "block_sparse_moe.experts.1.w1.weight 12,8",
                    "block_sparse_moe.experts.1.w3.weight 12,8",
                    "block_sparse_moe.experts.1.w2.weight 8,12",
                }
            )
        );
        Assert.That(
            Feed(Load("qwen3_moe", Sizes))[..4],
            Is.EqualTo(
                new[]
                {
                    "mlp.gate.weight 3,8",
                    "mlp.experts.0.gate_proj.weight 5,8",
                    "mlp.experts.0.up_proj.weight 5,8",
                    "mlp.experts.0.down_proj.weight 8,5",
                }
            )
        );

        static string[] Feed(ModelConfig config) =>
            [
                .. ModelTensors
                    .For(config)
                    .Where(tensor => tensor.Name.StartsWith("model.layers.1.", StringComparison.Ordinal))
                    .Where(tensor => tensor.Shape.Count == 2 && !tensor.Name.Contains("attn", StringComparison.Ordinal))
                    .Select(tensor => $"{tensor.Name["model.layers.1.".Length..]} {string.Join(',', tensor.Shape)}"),
            ];
    }

    /// <summary>transformers gives the number of experts two names, of which a file may have either.</summary>
    [Test]
    public void EitherNameOfTheNumberOfExpertsWillDo(
        [Values("mixtral", "qwen3_moe")] string type,
        [Values("num_experts", "num_local_experts")] string key
    )
    {
        ModelConfig config = Load(type, $$"""{"{{key}}":11}""");
        Assert.That(config.Experts!.Count, Is.EqualTo(11));
        Assert.That(config.Warnings, Is.Empty);
        Assert.That(
            () => Load(type, """{"num_experts":11,"num_local_experts":12}"""),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("num_experts is 11, expected 12 as in num_local_experts")
        );
    }

    [TestCase("mixtral", """{"num_experts_per_tok":9}""", "num_experts_per_tok is 9, expected 1 to 8")]
    [TestCase("mixtral", """{"num_experts_per_tok":0}""", "num_experts_per_tok is 0, expected")]
    [TestCase("mixtral", """{"num_local_experts":0}""", "num_local_experts is 0, expected")]
    [TestCase("mixtral", """{"num_local_experts":1}""", "num_experts_per_tok is missing, expected 1 to 1")]
    [TestCase("mixtral", """{"num_local_experts":5000}""", "num_local_experts is 5000, expected")]
    [TestCase("mixtral", """{"router_aux_loss_coef":-1}""", "router_aux_loss_coef is -1, expected")]
    [TestCase("mixtral", """{"output_router_logits":1}""", "output_router_logits is 1, expected")]
    [TestCase("qwen3_moe", """{"num_experts":4}""", "num_experts_per_tok is missing, expected 1 to 4")]
    [TestCase("qwen3_moe", """{"decoder_sparse_step":0}""", "decoder_sparse_step is 0, expected")]
    [TestCase("qwen3_moe", """{"mlp_only_layers":[-1]}""", "mlp_only_layers")]
    [TestCase("qwen3_moe", """{"moe_intermediate_size":0}""", "moe_intermediate_size is 0, expected")]
    [TestCase("qwen3_moe", """{"norm_topk_prob":"yes"}""", "norm_topk_prob is the string 'yes', expected")]
    public void ImpossibleValuesAreNamed(string type, string changes, string message) =>
        Assert.That(() => Load(type, changes), Throws.TypeOf<InputException>().With.Message.Contains(message));

    [Test]
    public void ASavedConfigIsReadAsTheSame([Values("Mixtral", "Qwen3Moe")] string name)
    {
        var config = (ModelConfig)typeof(TinyModels).GetProperty(name)!.GetValue(null)!;
        config = config with { Experts = config.Experts! with { BalanceCoefficient = 0.25, AddsBalanceLoss = true } };
        config.Save(folder.Path);
        var read = ModelConfig.Load(folder.Path);
        ExpertsConfig experts = read.Experts!;
        Assert.That(
            Enumerable.Range(0, config.Layers).Select(experts.In),
            Is.EqualTo(Enumerable.Range(0, config.Layers).Select(config.Experts.In))
        );
        Assert.That(experts with { Layers = null }, Is.EqualTo(config.Experts with { Layers = null }));
        Assert.That(
            ModelTensors.For(read).Select(tensor => $"{tensor.Name} {string.Join(',', tensor.Shape)}"),
            Is.EqualTo(ModelTensors.For(config).Select(tensor => $"{tensor.Name} {string.Join(',', tensor.Shape)}"))
        );
        Assert.That(read.SlidingWindow, Is.EqualTo(config.SlidingWindow));
    }

    [Test]
    public void NoiseOfTheRouterIsMentionedAndKept()
    {
        ModelConfig config = Load("mixtral", """{"router_jitter_noise":0.01}""");
        Assert.That(config.Warnings, Has.One.Contains("router_jitter_noise is 0.01"));
        Assert.That(config.OtherKeys, Contains.Key("router_jitter_noise"));
        Assert.That(Load("mixtral", """{"router_jitter_noise":0.0}""").Warnings, Is.Empty);
    }

    [Test]
    public void AModelWithoutExpertsIsNoneOfTheFamily() =>
        Assert.That(
            () => (TinyModels.Llama with { ModelType = "mixtral" }).ParameterCount,
            Throws.InvalidOperationException.With.Message.Contains("Experts is null, expected the experts of a mixtral")
        );
}
