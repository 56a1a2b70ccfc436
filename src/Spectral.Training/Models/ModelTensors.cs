namespace Spectral.Training.Models;

/// <summary>
/// Lists the tensors of a model with a given config, for the loader, the writer and fresh initialisation.
/// </summary>
public static class ModelTensors
{
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
            .Append(new(config.Family.Embedding, config.VocabularySize, config.HiddenSize, false))
            .Append(new(config.Family.Head, config.VocabularySize, config.HiddenSize, config.Family.HeadHasBias));

    /// <summary>Lists every tensor of the model, in order of use in forward.</summary>
    public static IEnumerable<TensorSpec> For(ModelConfig config)
    {
        ModelFamily family = config.Family;
        yield return new TensorSpec(family.EmbeddingWeight, [config.VocabularySize, config.HiddenSize]);
        if (family.PositionsWeight is { } positions)
            yield return new TensorSpec(positions, [config.MaxPositions, config.HiddenSize]);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            foreach (TensorSpec tensor in family.Norms(config, layer).SelectMany(norm => norm.Tensors))
                yield return tensor;
            foreach (LinearSpec linear in family.Linears(config, layer))
            {
                yield return new TensorSpec(linear.Weight, [linear.Outputs, linear.Inputs])
                {
                    IsTransposed = linear.IsTransposed,
                };
                if (linear.HasBias)
                    yield return new TensorSpec(linear.Bias, [linear.Outputs]);
            }
        }
        foreach (TensorSpec tensor in family.LastNorm(config).Tensors)
            yield return tensor;
        if (!config.TieWordEmbeddings)
            yield return new TensorSpec(family.HeadWeight, [config.VocabularySize, config.HiddenSize]);
        if (family.HeadHasBias)
            yield return new TensorSpec(family.HeadBias, [config.VocabularySize]);
    }

    /// <summary>
    /// Lists the names of the weights that may be quantised: those of the linear layers of all decoder layers, without
    /// the routers of experts.
    /// </summary>
    internal static IReadOnlySet<string> Quantizable(ModelConfig config) =>
        Linears(config).Where(linear => !linear.IsRouter).Select(linear => linear.Weight).ToHashSet();

    /// <summary>Lists the names of the tensors that files have with rows and columns exchanged.</summary>
    internal static IReadOnlySet<string> Transposed(ModelConfig config) =>
        For(config).Where(tensor => tensor.IsTransposed).Select(tensor => tensor.Name).ToHashSet();

    /// <summary>Returns the name of the module that a tensor belongs to.</summary>
    internal static string ModuleOf(string tensor) => tensor[..tensor.LastIndexOf('.')];

    /// <summary>Returns the last part of a module's name, which options use as its name.</summary>
    internal static string EndOf(string module) => module[(module.LastIndexOf('.') + 1)..];
}
