using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Describes rotary angles, and how they are scaled, as llama.cpp reads them.</summary>
internal static class RotaryKeys
{
    private const string ScalingType = "rope.scaling.type";
    private const string Factor = "rope.scaling.factor";
    private const string OriginalLength = "rope.scaling.original_context_length";

    /// <summary>Returns what of the angles llama.cpp cannot compute.</summary>
    public static IEnumerable<string> Obstacles(GgufArchitecture architecture, ModelConfig config)
    {
        if (config.RopeScaling is Llama3Scaling && !architecture.ReadsAngleDivisors)
            yield return "rotary angles scaled as llama3, expected another rope_type or none";
        if (config.RopeScaling is LongRopeScaling && !architecture.ReadsLongAngles)
            yield return "rotary angles scaled as longrope, expected another rope_type or none";
        if (config.RopeScaling is not YarnScaling yarn)
            yield break;
        YarnScaling usual = new(yarn.Factor, yarn.OriginalMaxPositions);
        if (!yarn.Truncate)
            yield return "yarn with truncate false, expected true";
        // It has keys for these two, and computes with 32 and 1 whatever they say.
        if ((yarn.BetaFast, yarn.BetaSlow) != (usual.BetaFast, usual.BetaSlow))
            yield return "yarn with other ends of the blend, expected beta_fast 32 and beta_slow 1";
        if (Math.Abs(yarn.Amplitude - usual.Amplitude) > 1e-6)
            yield return "yarn with an attention_factor or mscale of its own, expected the usual factor";
    }

    /// <summary>Returns what differs from the model in some texts.</summary>
    public static IEnumerable<string> Warnings(ModelConfig config)
    {
        if (config.RopeScaling is DynamicScaling)
        {
            yield return $"llama.cpp has no dynamic rotary angles; the file is for up to {config.MaxPositions} tokens, "
                + "whose angles are not scaled";
        }
        if (config.RopeScaling is LongRopeScaling { OriginalMaxPositions: var length })
        {
            yield return $"llama.cpp takes the angles of long texts for every text of a context of more than {length} "
                + "tokens, not for long texts alone";
        }
    }

    /// <summary>Adds the base of the angles, how many features turn, and the scaling.</summary>
    public static void Add(GgufArchitecture architecture, ModelConfig config, GgufMetadata metadata)
    {
        metadata.Add(architecture.Key("rope.dimension_count"), config.RotaryDimension);
        metadata.Add(architecture.Key("rope.freq_base"), config.RopeTheta);
        switch (config.RopeScaling)
        {
            case LinearScaling linear:
                metadata.Add(architecture.Key(ScalingType), "linear");
                metadata.Add(architecture.Key(Factor), linear.Factor);
                break;
            case YarnScaling yarn:
                metadata.Add(architecture.Key(ScalingType), "yarn");
                metadata.Add(architecture.Key(Factor), yarn.Factor);
                metadata.Add(architecture.Key(OriginalLength), yarn.OriginalMaxPositions);
                break;
            case LongRopeScaling longer:
                metadata.Add(architecture.Key(OriginalLength), longer.OriginalMaxPositions);
                metadata.Add(architecture.Key("rope.scaling.attn_factor"), longer.Amplitude);
                break;
        }
    }

    /// <summary>Lists the divisors of the angles, one for each pair of features, where there are such.</summary>
    public static IEnumerable<GgufTensor> Tensors(ModelConfig config)
    {
        switch (config.RopeScaling)
        {
            case Llama3Scaling llama:
                double[] scaled = llama.Frequencies(config.RopeTheta, config.RotaryDimension, 1);
                double[] unscaled = RopeScaling.Unscaled(config.RopeTheta, config.RotaryDimension);
                yield return Vector("rope_freqs", unscaled.Zip(scaled, (from, to) => from / to));
                break;
            case LongRopeScaling longer:
                yield return Vector("rope_factors_long", longer.LongFactors);
                yield return Vector("rope_factors_short", longer.ShortFactors);
                break;
        }
    }

    private static GgufTensor Vector(string name, IEnumerable<double> values) =>
        GgufTensor.Vector($"{name}.weight", [.. values.Select(value => (float)value)]);
}
