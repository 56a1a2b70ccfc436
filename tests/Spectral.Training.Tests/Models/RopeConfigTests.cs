using System.Text.Json.Nodes;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Tests.Models;

/// <summary>Keys of rotary angles and their scalings.</summary>
public sealed class RopeConfigTests : ConfigTest
{
    [Test]
    public void RopeIsReadInBothStyles()
    {
        string llama3 =
            """{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":"""
            + """4,"original_max_position_embeddings":64,"rope_theta":500}""";
        Llama3Scaling expected = new(8, 1, 4, 64);

        Assert.That(
            Load(("rope_theta", "300"), ("rope_scaling", llama3)),
            Has.Property("RopeTheta").EqualTo(500).And.Property("RopeScaling").EqualTo(expected)
        );
        Assert.That(
            Load(("rope_theta", "300"), ("rope_parameters", llama3)),
            Has.Property("RopeTheta").EqualTo(500).And.Property("RopeScaling").EqualTo(expected)
        );
        Assert.That(
            Load(("rope_parameters", """{"rope_theta":500,"rope_type":"default"}""")),
            Has.Property("RopeTheta").EqualTo(500).And.Property("RopeScaling").Null
        );
        Assert.That(
            Load(("rope_scaling", """{"type":"linear","factor":2.5}""")).RopeScaling,
            Is.EqualTo(new LinearScaling(2.5))
        );
        Assert.That(Load(("rope_scaling", "null")).RopeScaling, Is.Null);
    }

    // convert_rope_params_to_dict of transformers 5: what rope_scaling has, if anything, then rope_parameters, then the
    // key beside them.
    [TestCase("""{"rope_scaling":{"rope_theta":500}}""", 500, 0)]
    [TestCase("""{"rope_scaling":{"rope_theta":500,"rope_type":"default"},"rope_theta":300}""", 500, 1)]
    [TestCase("""{"rope_scaling":{},"rope_parameters":{"rope_theta":500}}""", 500, 0)]
    [TestCase("""{"rope_scaling":{"rope_theta":500},"rope_parameters":{"rope_theta":600}}""", 500, 1)]
    [TestCase("""{"rope_scaling":{"rope_theta":500},"rope_parameters":{"rope_theta":500},"rope_theta":500}""", 500, 0)]
    [TestCase("""{"rope_theta":null}""", 10000, 0)]
    public void ThetaIsFoundWhereItIs(string keys, double theta, int warnings)
    {
        ModelConfig config = Load([
            .. JsonNode.Parse(keys)!.AsObject().Select(pair => (pair.Key, pair.Value?.ToJsonString() ?? "null")),
        ]);
        Assert.That(
            (config.RopeTheta, config.RopeScaling, config.Warnings.Count),
            Is.EqualTo((theta, (RopeScaling?)null, warnings))
        );
    }

    [Test]
    public void TheOriginalPositionsMayStandBesideTheScaling()
    {
        const string Scaling = """{"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4}""";
        ModelConfig config = Load(("rope_scaling", Scaling), ("original_max_position_embeddings", "64"));
        Assert.That(config.RopeScaling, Is.EqualTo(new Llama3Scaling(8, 1, 4, 64)));
    }

    [Test]
    public void RotaryFrequenciesFollowTheFormulas()
    {
        ModelConfig plain = Load(("head_dim", "8"));
        float[] expected = [1, 0.1f, 0.01f, 0.001f];
        Assert.That(plain.RotaryFrequencies(), Is.EqualTo(expected).Within(1).Ulps);
        Assert.That(
            (plain with { RopeScaling = new LinearScaling(4) }).RotaryFrequencies(),
            Is.EqualTo(expected.Select(f => f / 4)).Within(1).Ulps
        );

        // Wavelengths 2π, 63, 628, 6283 against 256/4 = 64 and 256/1: kept, kept, slowed, slowed; with 1024 the third
        // lies in the passage.
        Assert.That(
            (plain with { RopeScaling = new Llama3Scaling(8, 1, 4, 256) }).RotaryFrequencies(),
            Is.EqualTo(new[] { 1, 0.1f, 0.00125f, 0.000125f }).Within(1).Ulps
        );
        double t = ((1024 * 0.01 / (2 * Math.PI)) - 1) / 3;
        Assert.That(
            (plain with { RopeScaling = new Llama3Scaling(8, 1, 4, 1024) }).RotaryFrequencies()[2],
            Is.EqualTo((float)(((1 - t) * 0.01 / 8) + (t * 0.01))).Within(1).Ulps
        );
    }

    // By independent arithmetic, from the formulas of the papers; the pair that turns 32 times in 256 positions is the
    // first, the one that turns once the second.
    [Test]
    public void YarnDividesWhatTurnsRarely()
    {
        ModelConfig config = Load(
            ("head_dim", "8"),
            ("max_position_embeddings", "256"),
            ("rope_scaling", """{"rope_type":"yarn","factor":4}""")
        );
        Assert.That(config.RotaryFrequencies(), Is.EqualTo(new[] { 1, 0.0625f, 0.0025f, 0.00025f }).Within(1).Ulps);
        Assert.That(config.RopeScaling!.Amplitude, Is.EqualTo(1.138629436111989).Within(1e-14));
        Assert.That(config.LongestSequence, Is.EqualTo(1024));
        ModelConfig fractional = Load(
            ("head_dim", "8"),
            ("max_position_embeddings", "1024"),
            (
                "rope_scaling",
                """{"rope_type":"yarn","original_max_position_embeddings":256,"truncate":false,"mscale":1,"""
                    + "\"mscale_all_dim\":1}"
            )
        );
        Assert.That(fractional.RotaryFrequencies()[1], Is.EqualTo(0.055398636f).Within(2).Ulps);
        Assert.That(fractional.RopeScaling!.Amplitude, Is.EqualTo(1));
        Assert.That(fractional.LongestSequence, Is.EqualTo(1024));
    }

    [Test]
    public void DynamicAnglesDependOnTheLengthBeyondThatOfPretraining()
    {
        ModelConfig config = Load(
            ("head_dim", "8"),
            ("max_position_embeddings", "64"),
            ("rope_scaling", """{"type":"dynamic","factor":2}""")
        );
        Assert.That(config.RotaryFrequencies(64), Is.EqualTo(new[] { 1, 0.1f, 0.01f, 0.001f }).Within(1).Ulps);
        Assert.That(
            config.RotaryFrequencies(96),
            Is.EqualTo(new[] { 1, 0.0793700526f, 0.0062996052f, 0.0005f }).Within(1).Ulps
        );
        Assert.That(config.LongestSequence, Is.EqualTo(128));
    }

    [Test]
    public void LongRopeHasFactorsForShortAndForLongSequences()
    {
        ModelConfig config = Load(
            ("head_dim", "4"),
            ("max_position_embeddings", "256"),
            ("original_max_position_embeddings", "64"),
            ("rope_scaling", """{"type":"longrope","short_factor":[1,2],"long_factor":[4,8]}""")
        );
        Assert.That(config.RotaryFrequencies(64), Is.EqualTo(new[] { 1, 0.005f }).Within(1).Ulps);
        Assert.That(config.RotaryFrequencies(65), Is.EqualTo(new[] { 0.25f, 0.00125f }).Within(1).Ulps);
        Assert.That(config.RopeScaling!.Amplitude, Is.EqualTo(1.1547005383792517).Within(1e-14));
    }

    [TestCase("""{"type":"yarn","factor":4,"beta_fast":8,"attention_factor":1.25}""")]
    [TestCase("""{"type":"yarn","factor":4,"truncate":false,"mscale":0.7,"mscale_all_dim":0.5}""")]
    [TestCase("""{"type":"longrope","short_factor":[1,2],"long_factor":[4,8],"factor":4}""")]
    [TestCase("""{"type":"dynamic","factor":3}""")]
    [TestCase("""{"type":"linear","factor":3}""")]
    public void AScalingIsWrittenAsItWasRead(string scaling)
    {
        ModelConfig config = Load(("rope_scaling", scaling));
        config.Save(folder.Path);
        var again = ModelConfig.Load(folder.Path);
        foreach (int length in new[] { 1, 2048, 2049, 4000 })
            Assert.That(again.RotaryFrequencies(length), Is.EqualTo(config.RotaryFrequencies(length)));
        Assert.That(again.RopeScaling!.Amplitude, Is.EqualTo(config.RopeScaling!.Amplitude));
        Assert.That(again.LongestSequence, Is.EqualTo(config.LongestSequence));
    }

    [TestCase(
        """{"type":"yarn"}""",
        "rope_scaling.factor is missing, expected a number of at least 1, or original_max"
    )]
    [TestCase("""{"type":"yarn","factor":4,"beta_fast":0.5}""", "rope_scaling.beta_fast is 0.5, expected at least")]
    [TestCase(
        """{"type":"longrope","short_factor":[1],"long_factor":[4,8],"factor":4}""",
        "rope_scaling.short_factor is"
    )]
    [TestCase("""{"type":"longrope","short_factor":[1,2],"factor":4}""", "rope_scaling.long_factor is missing")]
    [TestCase(
        """{"type":"longrope","short_factor":[1,0],"long_factor":[4,8],"factor":4}""",
        "rope_scaling.short_factor is 0, expected a positive number"
    )]
    [TestCase("""{"type":"dynamic"}""", "rope_scaling.factor is missing, expected a number of at least 1")]
    [TestCase("""{"type":"mrope"}""", "rope_scaling.type is the string 'mrope', expected default, linear, dynamic")]
    public void AnImpossibleScalingIsRefused(string scaling, string message) =>
        Assert.That(
            () => Load(("rope_scaling", scaling)),
            Throws.TypeOf<InputException>().With.Message.Contains(message)
        );

    // convert_rope_params_to_dict of transformers 5: what the object has, then the key beside it, then the default.
    [TestCase("phi3", """{}""", 6, 0)]
    [TestCase("phi3", """{"partial_rotary_factor":0.75}""", 4, 0)]
    [TestCase("phi3", """{"rope_parameters":{"rope_theta":500,"partial_rotary_factor":0.34}}""", 2, 0)]
    [TestCase("phi3", """{"partial_rotary_factor":0.75,"rope_scaling":{"partial_rotary_factor":0.34}}""", 2, 1)]
    [TestCase("phi3", """{"partial_rotary_factor":0.75,"rope_scaling":{"partial_rotary_factor":0.75}}""", 4, 0)]
    [TestCase("glm", """{"head_dim":8}""", 4, 0)]
    [TestCase("glm4", """{"partial_rotary_factor":1}""", 6, 0)]
    public void AShareOfAHeadMayTurn(string type, string keys, int turning, int warnings)
    {
        ModelConfig config = WithKeys(type, keys, ("head_dim", "6"));
        config.Save(folder.Path);
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That((each.RotaryDimension, each.RotaryFrequencies().Length), Is.EqualTo((turning, turning / 2)));
            Assert.That(
                each.RotaryFrequencies()[^1],
                Is.EqualTo((float)Math.Pow(each.RopeTheta, 2.0 / turning - 1)).Within(1).Ulps
            );
        }
        Assert.That(config.Warnings, Has.Count.EqualTo(warnings));
    }

    // The first checkpoints of Phi-3 call LongRoPE su or yarn. Positions of pretraining are 4096 unless given.
    [TestCase("su", 1.1902380714238083)]
    [TestCase("yarn", 1.1902380714238083)]
    [TestCase("longrope", 1.1902380714238083)]
    public void LongRopeOfPhi3IsWrittenAsTransformers4ReadsIt(string name, double amplitude)
    {
        ModelConfig config = WithKeys(
            "phi3",
            $$"""{"max_position_embeddings":131072,"rope_scaling":{"type":"{{name}}","short_factor":[1,2],"""
                + "\"long_factor\":[4,8]}}",
            ("head_dim", "4")
        );
        config.Save(folder.Path);
        JsonObject written = JsonNode.Parse(File.ReadAllText(folder.File("config.json")))!.AsObject();
        Assert.That(
            written["rope_scaling"]!.AsObject().Select(pair => pair.Key),
            Is.EqualTo(new[] { "type", "short_factor", "long_factor" })
        );
        Assert.That((int)written["original_max_position_embeddings"]!, Is.EqualTo(4096));
        foreach (ModelConfig each in new[] { config, ModelConfig.Load(folder.Path) })
        {
            Assert.That(each.RopeScaling!.Amplitude, Is.EqualTo(amplitude).Within(1e-14));
            Assert.That(each.RotaryFrequencies(4096), Is.EqualTo(new[] { 1, 0.005f }).Within(1).Ulps);
            Assert.That(each.RotaryFrequencies(4097), Is.EqualTo(new[] { 0.25f, 0.00125f }).Within(1).Ulps);
        }
    }

    [Test]
    public void LongRopeOfPhi3KeepsWhatDoesNotFollow()
    {
        const string Factors = "\"short_factor\":[1,2],\"long_factor\":[4,8]";
        ModelConfig config = WithKeys(
            "phi3",
            $$"""{"original_max_position_embeddings":32,"rope_scaling":{"type":"longrope",{{Factors}},"""
                + "\"attention_factor\":1.25}}",
            ("head_dim", "4")
        );
        config.Save(folder.Path);
        var again = ModelConfig.Load(folder.Path);
        Assert.That(again.RopeScaling!.Amplitude, Is.EqualTo(1.25));
        Assert.That(again.RotaryFrequencies(33), Is.EqualTo(config.RotaryFrequencies(33)));
    }
}
