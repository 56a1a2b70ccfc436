namespace Spectral.Training.Models;

/// <summary>
/// The tensors of a model with a given config: one list that the loader, the writer and fresh initialisation share.
/// </summary>
public static class ModelTensors
{
    /// <summary>The module of the token embedding.</summary>
    public const string EmbeddingModule = "model.embed_tokens";

    /// <summary>The token embedding, [V, D].</summary>
    public const string Embedding = EmbeddingModule + ".weight";

    /// <summary>The weight of the norm after the last layer, [D].</summary>
    public const string FinalNorm = "model.norm.weight";

    /// <summary>The module of the output head.</summary>
    public const string HeadModule = "lm_head";

    /// <summary>The output head, [V, D]; absent when it is tied to the embedding.</summary>
    public const string Head = HeadModule + ".weight";

    /// <summary>The linear layers of all decoder layers. The output head is not among them.</summary>
    public static IEnumerable<LinearSpec> Linears(ModelConfig config) =>
        Enumerable.Range(0, config.Layers).SelectMany(layer => config.Family.Linears(config, layer));

    /// <summary>
    /// Every tensor by which the model computes, in the same order: those of <see cref="For"/>, and the head also where
    /// it is tied to the embedding.
    /// </summary>
    public static IEnumerable<TensorSpec> Untied(ModelConfig config) => For(config with { TieWordEmbeddings = false });

    /// <summary>
    /// Every layer that an adapter can change: the linear layers, the embedding, whose weight [V, D] is that of a layer
    /// of V outputs that is looked up instead of applied, and the head.
    /// </summary>
    public static IEnumerable<LinearSpec> Adaptable(ModelConfig config) =>
        Linears(config)
            .Append(new(EmbeddingModule, config.VocabularySize, config.HiddenSize, false))
            .Append(new(HeadModule, config.VocabularySize, config.HiddenSize, false));

    /// <summary>Every tensor of the model, in the order of the data's way through it.</summary>
    public static IEnumerable<TensorSpec> For(ModelConfig config)
    {
        yield return new TensorSpec(Embedding, [config.VocabularySize, config.HiddenSize]);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            foreach (TensorSpec norm in config.Family.Norms(config, layer))
                yield return norm;
            foreach (LinearSpec linear in config.Family.Linears(config, layer))
            {
                yield return new TensorSpec(linear.Weight, [linear.Outputs, linear.Inputs]);
                if (linear.HasBias)
                    yield return new TensorSpec(linear.Bias, [linear.Outputs]);
            }
        }
        yield return new TensorSpec(FinalNorm, [config.HiddenSize]);
        if (!config.TieWordEmbeddings)
            yield return new TensorSpec(Head, [config.VocabularySize, config.HiddenSize]);
    }
}
