using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Models;

/// <summary>Keys of the Gemma families.</summary>
public sealed class GemmaConfigTests : ConfigTest
{
    // Values of Gemma2Config in transformers; null is no cap, and a whole number stays one.
    [TestCase("{}", 0.0625, 50, 30)]
    [TestCase("""{"attn_logit_softcapping":null,"final_logit_softcapping":null}""", 0.0625, 0, 0)]
    [TestCase(
        """{"query_pre_attn_scalar":144,"attn_logit_softcapping":20.5,"final_logit_softcapping":5}""",
        0.083333333333333329,
        20.5,
        5
    )]
    public void Gemma2HasSoftCapsAndAFactorOnScores(string keys, double multiplier, double scores, double logits)
    {
        ModelConfig config = LoadWith("gemma2", keys);
        config.Save(folder.Path);
        string written = File.ReadAllText(folder.File("config.json"));
        Assert.That(written, Does.Match("\"query_pre_attn_scalar\": (256|144),"));
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(
                (each.AttentionMultiplier, each.AttentionSoftCap, each.LogitSoftCap),
                Is.EqualTo((multiplier, scores, logits))
            );
            Assert.That(
                (each.EmbeddingMultiplier, each.Activation, each.HeadDimension, each.TieWordEmbeddings),
                Is.EqualTo((Math.Sqrt(8), Activation.GeluTanh, 256, true))
            );
            Assert.That(each.Warnings, Is.Empty);
        }
    }

    // Gemma3TextConfig of transformers 4 and of 5: the base of layers with a window in a key of its own, or an object
    // of parameters for each type of layer.
    [TestCase("{}", 1e6, 0, 1e4, 0)]
    [TestCase(
        """{"rope_theta":5e5,"rope_local_base_freq":300,"rope_scaling":{"rope_type":"linear","factor":8}}""",
        5e5,
        8,
        300,
        0
    )]
    [TestCase(
        """{"rope_parameters":{"full_attention":{"rope_type":"linear","factor":8,"rope_theta":7e5},"""
            + """ "sliding_attention":{"rope_type":"default","rope_theta":400}}}""",
        7e5,
        8,
        400,
        0
    )]
    [TestCase(
        """{"rope_theta":5e5,"rope_local_base_freq":300,"rope_parameters":{"sliding_attention":"""
            + """{"rope_type":"linear","factor":2},"full_attention":{"rope_type":"default"}}}""",
        5e5,
        0,
        300,
        2
    )]
    public void LayersOfGemma3TurnByTheirType(string keys, double full, double factor, double sliding, double second)
    {
        ModelConfig config = LoadWith("gemma3_text", keys, ("sliding_window_pattern", "2"));
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(each.RotaryOf(1), Is.EqualTo(Angles(full, factor)));
            Assert.That(each.RotaryOf(0), Is.EqualTo(Angles(sliding, second)));
            Assert.That(each.Warnings, Is.Empty);
        }

        static RotaryAngles Angles(double theta, double factor) =>
            new(theta, factor > 0 ? new LinearScaling(factor) : null);
    }

    [TestCase(
        "gemma2",
        """{"use_bidirectional_attention":true}""",
        "use_bidirectional_attention is true, expected false"
    )]
    [TestCase(
        "gemma3_text",
        """{"use_bidirectional_attention":1}""",
        "use_bidirectional_attention is 1, expected true"
    )]
    [TestCase("gemma2", """{"attn_logit_softcapping":0}""", "attn_logit_softcapping is 0, expected a number from")]
    [TestCase("gemma3_text", """{"final_logit_softcapping":-3}""", "final_logit_softcapping is -3, expected a number")]
    [TestCase("gemma2", """{"query_pre_attn_scalar":0}""", "query_pre_attn_scalar is 0, expected a number from")]
    [TestCase("gemma2", """{"sliding_window":null}""", "sliding_window is missing, expected a whole number from 1")]
    [TestCase("gemma3_text", """{"sliding_window_pattern":0}""", "sliding_window_pattern is 0, expected a whole")]
    [TestCase("gemma3_text", """{"rope_local_base_freq":0}""", "rope_local_base_freq is 0, expected a number from 1")]
    [TestCase(
        "gemma3_text",
        """{"rope_parameters":{"rope_type":"default"}}""",
        "rope_parameters.rope_type is the string 'default', expected no such key"
    )]
    [TestCase(
        "gemma3_text",
        """{"rope_parameters":{"sliding_attention":{"rope_type":"mrope"}}}""",
        "rope_parameters.sliding_attention.rope_type is the string 'mrope'"
    )]
    [TestCase("gemma2", """{"hidden_activation":"relu"}""", "hidden_activation is the string 'relu', expected one of")]
    [TestCase(
        "gemma3",
        """{"text_config":{"model_type":"gemma3_text"}}""",
        "gemma3 has images as input, which is not supported; its text model, a gemma3_text, can be read from a folder"
    )]
    public void WhatGemmaCannotBeIsRefused(string type, string keys, string says) =>
        Assert.That(() => LoadWith(type, keys), Throws.TypeOf<InputException>().With.Message.Contains(says));

    // What hidden_act and hidden_activation mean in GemmaConfig and in Gemma2Config of transformers 4.
    [TestCase("gemma", "{}", Activation.GeluTanh, 0)]
    [TestCase("gemma", """{"hidden_act":"gelu"}""", Activation.Gelu, 0)]
    [TestCase("gemma", """{"hidden_act":"gelu","hidden_activation":null}""", Activation.Gelu, 0)]
    [TestCase("gemma", """{"hidden_act":"gelu","hidden_activation":"gelu_pytorch_tanh"}""", Activation.GeluTanh, 1)]
    [TestCase("gemma2", """{"hidden_act":"silu"}""", Activation.GeluTanh, 1)]
    [TestCase("gemma2", """{"hidden_act":"gelu_new"}""", Activation.GeluTanh, 0)]
    [TestCase("gemma3_text", """{"hidden_activation":"gelu"}""", Activation.Gelu, 0)]
    public void TheActivationOfGemmaIsUnderItsKeys(string type, string keys, Activation expected, int warnings)
    {
        ModelConfig config = LoadWith(type, keys);
        Assert.That((config.Activation, config.Warnings.Count), Is.EqualTo((expected, warnings)));
        config.Save(folder.Path);
        var again = ModelConfig.Load(folder.Path);
        Assert.That((again.Activation, again.Warnings.Count), Is.EqualTo((expected, 0)));
    }

    [Test]
    public void ASoftCapThatGemma3IgnoresIsMentioned() =>
        Assert.That(
            LoadWith("gemma3_text", """{"attn_logit_softcapping":50.0}""").Warnings.Single(),
            Does.EndWith(
                "attn_logit_softcapping is '50.0', which gemma3_text models ignore, in transformers as well as here"
            )
        );
}
