namespace Spectral.Training.Tests.Support;

/// <summary>
/// The names that Llama has for the modules of GPT-2, so that one reference reads both. Its fused projection has the
/// name that Phi-3 has for it; what Llama lacks keeps its name.
/// </summary>
internal static class LlamaNames
{
    private static readonly (string Gpt2, string Llama)[] Pairs =
    [
        ("transformer.wte", "model.embed_tokens"),
        ("transformer.ln_f", "model.norm"),
        ("transformer.h.", "model.layers."),
        (".ln_1", ".input_layernorm"),
        (".ln_2", ".post_attention_layernorm"),
        (".attn.c_attn", ".self_attn.qkv_proj"),
        (".attn.c_proj", ".self_attn.o_proj"),
    ];

    /// <summary>Returns Llama's name of a module or tensor of any family.</summary>
    public static string From(string name)
    {
        foreach ((string gpt2, string llama) in Pairs)
            name = name.Replace(gpt2, llama, StringComparison.Ordinal);
        return name;
    }

    /// <summary>Returns the name in a model of a family from Llama's.</summary>
    public static string To(string modelType, string name)
    {
        if (modelType != "gpt2")
            return name;
        foreach ((string gpt2, string llama) in Pairs)
            name = name.Replace(llama, gpt2, StringComparison.Ordinal);
        return name;
    }
}
