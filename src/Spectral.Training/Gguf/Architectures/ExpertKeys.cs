using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Describes mixtures of experts as llama.cpp reads them, with the experts of a layer stacked.</summary>
internal static class ExpertKeys
{
    /// <summary>llama.cpp's name of the layer that computes a logit for each expert.</summary>
    public const string Router = "ffn_gate_inp";

    /// <summary>llama.cpp's name of the experts' gates.</summary>
    public const string Gate = "ffn_gate_exps";

    /// <summary>llama.cpp's name of the layers beside the gates.</summary>
    public const string Up = "ffn_up_exps";

    /// <summary>llama.cpp's name of the experts' last layers.</summary>
    public const string Down = "ffn_down_exps";

    /// <summary>Returns what of the experts llama.cpp cannot compute.</summary>
    public static IEnumerable<string> Obstacles(ModelConfig config)
    {
        if (config.Experts is not { } experts)
            yield break;
        if (!experts.NormalisesWeights)
            yield return "weights of experts that do not sum to 1, expected norm_topk_prob true";
        if (Enumerable.Range(0, config.Layers).Any(layer => !experts.In(layer)))
            yield return "layers without experts, expected experts in all";
    }

    /// <summary>Adds the number of experts and their width, if there are any.</summary>
    public static void Add(GgufArchitecture architecture, ModelConfig config, GgufMetadata metadata)
    {
        if (config.Experts is not { } experts)
            return;
        metadata.Add(architecture.Key("expert_count"), experts.Count);
        metadata.Add(architecture.Key("expert_used_count"), experts.PerToken);
        if (experts.IntermediateSize is { } width)
            metadata.Add(architecture.Key("expert_feed_forward_length"), width);
    }
}
