using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Refuses or mentions keys of a <c>config.json</c> that would change what the model computes but are not supported
/// here.
/// </summary>
internal static class ModelConfigOddities
{
    private const string MlxQuantization = "quantization";

    private const string OtherActivation = "hidden_activation"; // of families that have it in place of hidden_act

    private static readonly (string Key, string Place)[] Dropouts =
    [
        ("attention_dropout", "attention"),
        ("attn_pdrop", "attention"),
        ("embd_pdrop", "embeddings"),
        ("embedding_dropout", "embeddings"),
        ("hidden_dropout", "the feed-forward layers"),
        ("resid_pdrop", "the residual stream"),
        ("residual_dropout", "the residual stream"),
    ];

    // Keys of other families. transformers' classes for the families here ignore them too, so that results are the
    // same. But a config with such a key may belong to a model with custom code.
    private static readonly string[] OfOthers =
    [
        "alibi",
        "attention_chunk_size",
        "attention_multiplier",
        "attn_logit_softcapping",
        "clip_qkv",
        "embedding_multiplier",
        "final_logit_softcapping",
        "logit_scale",
        "logits_scaling",
        "no_rope_layer_interval",
        "no_rope_layers",
        "num_experts",
        "num_local_experts",
        "parallel_attn",
        "qk_layernorm",
        "qk_norm",
        "query_pre_attn_scalar",
        "residual_multiplier",
        "rope_interleaved",
        "scale_depth",
        "scale_emb",
        "use_qk_norm",
    ];

    /// <summary>Refuses keys that would change the results.</summary>
    /// <exception cref="InputException">The config has such a key.</exception>
    public static void Refuse(JsonFields fields)
    {
        if (fields.Has(MlxQuantization))
            throw fields.Wrong(MlxQuantization, "none: weights that are quantised as MLX does it are not read");
    }

    /// <summary>Lists the keys that are ignored, one line each.</summary>
    public static IEnumerable<string> Mention(JsonFields fields, string path, ModelFamily family)
    {
        string type = family.ModelType;
        foreach ((string key, string place) in Dropouts)
        {
            if (fields.Number(key, 0, 1) is not { } dropout || dropout == 0)
                continue;
            yield return FormattableString.Invariant(
                $"{path}: {key} is {dropout:R}, but nothing is dropped from {place} in training here"
            );
        }

        if (fields.Number("router_jitter_noise", 0, 1) is { } noise && noise > 0)
        {
            yield return FormattableString.Invariant(
                $"{path}: router_jitter_noise is {noise:R}, but the input of experts gets no noise in training here"
            );
        }

        if (fields.Has("auto_map"))
        {
            yield return $"{path}: auto_map names code of the model's own, which is never run; it is read as a plain "
                + $"{type} model";
        }

        if (OtherActivationOf(fields, family) is { } other)
            yield return $"{path}: {other}";

        bool slides = fields.Texts("layer_types")?.Contains("sliding_attention") ?? false;
        if (slides && !family.Keys.Contains("layer_types"))
            yield return $"{path}: layer_types has sliding_attention, which {type} models ignore";
        IEnumerable<string> others = OfOthers.Except(family.Keys);
        foreach (string key in others.Where(key => fields.Find(key) is { } value && Matters(value)))
        {
            yield return $"{path}: {key} is {InputText.Quote(fields.Find(key)!.Value.GetRawText())}, which {type} "
                + "models ignore, in transformers as well as here";
        }
    }

    // Of the two keys of an activation, the one that does not count and differs from what does.
    private static string? OtherActivationOf(JsonFields fields, ModelFamily family)
    {
        const string Usual = "hidden_act";
        bool hasBoth = family.ActivationKey == Usual && family.Keys.Contains(OtherActivation);
        if (hasBoth && !fields.Has(OtherActivation))
            return null;
        string counts = hasBoth ? OtherActivation : family.ActivationKey;
        string ignored = counts == Usual ? OtherActivation : Usual;
        string? value = fields.Text(ignored);
        if (value is null || ActivationNames.Find(value) == ActivationNames.Read(fields, counts, family))
            return null;
        return hasBoth
            ? $"{ignored} is {InputText.Quote(value)}, but {counts} counts (transformers 5 takes the former)"
            : $"{ignored} is {InputText.Quote(value)}, which {family.ModelType} models ignore; {counts} counts";
    }

    private static bool Matters(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.False => false,
            JsonValueKind.Number => value.GetDouble() is not (0 or 1),
            JsonValueKind.Array => value.GetArrayLength() > 0,
            _ => true,
        };
}
