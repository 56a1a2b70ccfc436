namespace Spectral.Training.Models;

/// <summary>
/// Lists the tensors of a model with a given config, for the loader, the writer and fresh initialisation.
/// </summary>
public static class ModelTensors
{
    /// <summary>The name of the module of the token embedding.</summary>
    public const string EmbeddingModule = "model.embed_tokens";

    /// <summary>The name of the token embedding, [V, D].</summary>
    public const string Embedding = EmbeddingModule + ".weight";

    /// <summary>The name of the weight of the norm after the last layer, [D].</summary>
    public const string FinalNorm = "model.norm.weight";

    /// <summary>The name of the module of the output head.</summary>
    public const string HeadModule = "lm_head";

    /// <summary>
    /// The name of the output head, [V, D]. The tensor is absent when the head is tied to the embedding.
    /// </summary>
    public const string Head = HeadModule + ".weight";

    /// <summary>Lists the linear layers of all decoder layers. The output head is not included.</summary>
    public static IEnumerable<LinearSpec> Linears(ModelConfig config) =>
        Enumerable.Range(0, config.Layers).SelectMany(layer => config.Family.Linears(config, layer));

    /// <summary>
    /// Lists every tensor that the model uses, in the same order: those of <see cref="For"/>, and the head even if it
    /// is tied to the embedding.
    /// </summary>
    public static IEnumerable<TensorSpec> Untied(ModelConfig config) => For(config with { TieWordEmbeddings = false });

    /// <summary>
    /// Lists every layer that an adapter can change: the linear layers, the embedding, and the head. The embedding's
    /// weight [V, D] counts as that of a layer with V outputs that is looked up instead of multiplied.
    /// </summary>
    public static IEnumerable<LinearSpec> Adaptable(ModelConfig config) =>
        Linears(config)
            .Append(new(EmbeddingModule, config.VocabularySize, config.HiddenSize, false))
            .Append(new(HeadModule, config.VocabularySize, config.HiddenSize, false));

    /// <summary>Lists every tensor of the model, in order of use in forward.</summary>
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
