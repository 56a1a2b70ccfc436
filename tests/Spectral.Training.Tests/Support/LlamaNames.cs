namespace Spectral.Training.Tests.Support;

/// <summary>
/// The names that Llama, StarCoder2 and Phi-3 have for the modules of GPT-2 and Phi, so that one reference reads all of
/// them; what these lack keeps its name.
/// </summary>
internal static class LlamaNames
{
    private static readonly Dictionary<string, (string Own, string Llama)[]> Pairs = new()
    {
        ["gpt2"] =
        [
            ("transformer.wte", "model.embed_tokens"),
            ("transformer.ln_f", "model.norm"),
            ("transformer.h.", "model.layers."),
            (".ln_1", ".input_layernorm"),
            (".ln_2", ".post_attention_layernorm"),
            (".attn.c_attn", ".self_attn.qkv_proj"),
            (".attn.c_proj", ".self_attn.o_proj"),
        ],
        ["phi"] =
        [
            ("model.final_layernorm", "model.norm"),
            (".self_attn.dense", ".self_attn.o_proj"),
            (".mlp.fc1", ".mlp.c_fc"),
            (".mlp.fc2", ".mlp.c_proj"),
        ],
    };

    /// <summary>Returns the reference's name of a module or tensor of any family.</summary>
    public static string From(string name)
    {
        foreach ((string own, string llama) in Pairs.Values.SelectMany(pairs => pairs))
            name = name.Replace(own, llama, StringComparison.Ordinal);
        return name;
    }

    /// <summary>Returns the name in a model of a family from the reference's.</summary>
    public static string To(string modelType, string name)
    {
        foreach ((string own, string llama) in Pairs.GetValueOrDefault(modelType, []))
            name = name.Replace(llama, own, StringComparison.Ordinal);
        return name;
    }
}
